import { link, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { syncFolder, writeNewFile } from '../../core/durable-file.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import { decodeIndex, emptyIndex, encodeIndex, type Index } from './index-format.ts';
import { generationOf, indexName } from './names.ts';

/** Enough that a reader who has just listed the folder still finds the newest of its list. At least two (see commit). */
const KEPT_INDEXES = 4;
/** Files that no index names are left by a crash, or are being written just now. No write takes this long. */
const ORPHAN_AGE_MS = 3_600_000;

/** The newest index of a path; an empty one, generation 0, when nothing was written yet. */
export async function readNewest(folder: string, path: string, macKey: SecretValue): Promise<Index> {
  for (;;) {
    const generation = newest(await names(folder));
    if (generation === 0) return emptyIndex(path);
    const file = join(folder, indexName(generation));
    try {
      return decodeIndex(await readFile(file, 'utf8'), { file, path, generation }, macKey);
    } catch (error) {
      // Others wrote several generations meanwhile and cleaned this one up.
      if (foreignCode(error) !== 'ENOENT') throw error;
    }
  }
}

/**
 * Makes `next` the newest index, if `next.generation - 1` is still the newest: compare-and-set without a lock.
 * `link` gives a complete, synced file its name and fails when the name is taken.
 *
 * Cleaning up could free a name again for a process that slept since it read generation N. So after linking
 * N+1 we look for N: generations are removed in ascending order, hence while N exists, N+1 never did before us.
 * @returns whether it took effect; false: read again, decide again
 */
export async function commit(call: Call, folder: string, next: Index, macKey: SecretValue): Promise<boolean> {
  const name = join(folder, indexName(next.generation));
  const temporary = join(folder, `${indexName(next.generation)}.${call.random.uuid()}.tmp`);
  await writeNewFile(temporary, encodeIndex(next, macKey), { mode: 0o600 });
  try {
    call.deadline.assertTime(`write ${name}`);
    await link(temporary, name);
  } catch (error) {
    if (foreignCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
  try {
    const base = next.generation - 1;
    if (base > 0 && !(await exists(join(folder, indexName(base))))) {
      // Either our name was a freed one, or others built on it already. The caller's next look tells which;
      // nobody reads this generation any more, since a far newer one exists.
      if (newest(await names(folder)) > next.generation) await rm(name, { force: true });
      return false;
    }
    await syncFolder(folder);
    return true;
  } catch (error) {
    // From `link` on others see the change, so this is no plain failure.
    throw new RotorError('store.unavailable', {
      what: `local store: ${name} was written, but may not survive a power cut (${foreignCode(error)})`,
      kind: 'ambiguous',
      cause: error,
    });
  }
}

/** Makes the folder of a path, and the store's own, private to our user and durable. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Removes indexes that nobody needs, and files of crashed writes. Failing does no harm: the next write tries again. */
export async function cleanUp(call: Call, folder: string, index: Index): Promise<void> {
  const all = await names(folder);
  const old = all
    .flatMap((name) => generationOf(name) ?? [])
    .filter((n) => n <= index.generation - KEPT_INDEXES);
  // Ascending and one after the other: `commit` relies on it.
  for (const generation of old.sort((a, b) => a - b))
    await rm(join(folder, indexName(generation)), { force: true });
  const named = new Set(index.versions.map(({ file }) => file));
  for (const name of all) {
    if (generationOf(name) !== undefined || named.has(name)) continue;
    const file = join(folder, name);
    const stats = await stat(file).catch(() => undefined);
    if (stats?.isFile() && call.clock.now().getTime() - stats.mtimeMs > ORPHAN_AGE_MS)
      await rm(file, { force: true });
  }
}

async function names(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function newest(all: readonly string[]): number {
  return Math.max(0, ...all.flatMap((name) => generationOf(name) ?? []));
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return false;
    throw error;
  }
}
