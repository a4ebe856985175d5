import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { VolumeContent } from './volume-content.ts';

const DATA = '..data';
const NEXT = '..data_tmp';

/**
 * Replaces a folder's files all at once, as a kubelet does: they lie in a folder of their own, behind the link
 * `..data`, which is exchanged by one rename. A reader sees the old files or the new ones, never a mixture.
 * Returns whether anything changed.
 */
export async function replaceFiles(folder: string, files: VolumeContent): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const current = await readlink(join(folder, DATA)).catch(() => undefined);
  if (current !== undefined && (await holds(join(folder, current), files))) return false;
  const stamp = new Date().toISOString().replaceAll(/[-:T]/g, '_').slice(0, 19);
  const fresh = await mkdtemp(join(folder, `..${stamp}.`));
  await chmod(fresh, 0o755);
  for (const [path, { data, mode }] of files) {
    const file = join(fresh, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, data, { mode: 0o600, flag: 'wx' });
    await chmod(file, mode);
  }
  const next = join(folder, NEXT);
  await rm(next, { force: true });
  await symlink(fresh.slice(folder.length + 1), next);
  await rename(next, join(folder, DATA));
  await showNames(folder, new Set([...files.keys()].map((path) => path.split('/')[0] as string)));
  if (current !== undefined) await rm(join(folder, current), { recursive: true, force: true });
  return true;
}

/** What a container sees by name are links through `..data`. */
async function showNames(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const shown = (await readdir(folder)).filter((name) => !name.startsWith('..'));
  for (const name of wanted) if (!shown.includes(name)) await symlink(join(DATA, name), join(folder, name));
  for (const name of shown) {
    const path = join(folder, name);
    if (!wanted.has(name) && (await lstat(path)).isSymbolicLink()) await rm(path, { force: true });
  }
}

async function holds(folder: string, files: VolumeContent): Promise<boolean> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  if (names.filter((entry) => !entry.isDirectory()).length !== files.size) return false;
  for (const [path, { data }] of files) {
    const known = await readFile(join(folder, path)).catch(() => undefined);
    if (!known?.equals(data)) return false;
  }
  return true;
}
