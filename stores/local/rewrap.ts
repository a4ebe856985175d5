import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { syncFolder, writeNewFile } from '../../core/durable-file.ts';
import { foreignCode } from '../../core/errors.ts';
import { rewrap } from '../../core/seal.ts';
import type { Keyring } from '../../core/seal-keyring.ts';
import { onDisk } from './disk-errors.ts';
import type { LocalSpec } from './spec.ts';

/**
 * Wraps every sealed file of a store with the active key, so that older keys can leave the key file. Files are
 * replaced one by one and stay readable throughout; may be repeated and interrupted. Start it when every process
 * has the new key file: one with the old would go on sealing with the old key.
 * @returns how many files were changed, and how many had the active key already
 * @throws RotorError `store.sealed` when a file's key isn't in the key file, `call.timeout` when time is up
 */
export async function rewrapLocalStore(
  call: Call,
  spec: Pick<LocalSpec, 'path'>,
  keyring: Keyring,
): Promise<{ readonly rewrapped: number; readonly unchanged: number }> {
  let rewrapped = 0;
  let unchanged = 0;
  await onDisk(spec.path, async () => {
    for (const folder of await readdir(spec.path, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue;
      const at = join(spec.path, folder.name);
      for (const name of await readdir(at)) {
        if (!name.endsWith('.sealed')) continue;
        if (await rewrapFile(call, at, name, keyring)) rewrapped += 1;
        else unchanged += 1;
      }
      await syncFolder(at);
    }
  });
  return { rewrapped, unchanged };
}

async function rewrapFile(call: Call, folder: string, name: string, keyring: Keyring): Promise<boolean> {
  const file = join(folder, name);
  let sealed: string;
  try {
    sealed = await readFile(file, 'utf8');
  } catch (error) {
    if (foreignCode(error) === 'ENOENT') return false;
    throw error;
  }
  const moved = rewrap(keyring, sealed);
  if (moved === sealed) return false;
  const temporary = join(folder, `${name}.${call.random.uuid()}.tmp`);
  await writeNewFile(temporary, Buffer.from(moved), { mode: 0o600 });
  try {
    call.deadline.assertTime(`rewrap ${file}`);
    // Both forms hold the same document. If the version was discarded meanwhile, this brings the file back
    // without an index that names it: it is swept up like the rest of a crashed write.
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
  return true;
}
