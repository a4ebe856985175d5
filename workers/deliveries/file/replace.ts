import { randomUUID } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Call } from '../../../core/call.ts';
import { type NewFile, syncFolder, writeNewFile } from '../../../core/durable-file.ts';
import type { SecretValue } from '../../../core/secret.ts';

/**
 * Replaces a file as a whole: readers see the old content or the new one, also after a power cut. The owner and
 * mode are set before the name is.
 *
 * npm's write-file-atomic doesn't serve: it opens its temporary file without O_EXCL under a guessable name, follows
 * a link at the target, overlooks a refused chown and a short write, and never syncs the directory.
 */
export async function replaceFile(
  call: Call,
  path: string,
  content: SecretValue,
  file: NewFile,
): Promise<void> {
  const folder = dirname(path);
  // A leading dot and its own ending keep it away from consumers that read `*.json` of a directory.
  const prefix = `.${basename(path)}.`;
  // A killed worker leaves plaintext behind; and a worker that slept past its lease loses its temporary file
  // here, so that its rename fails instead of putting an older version over ours.
  for (const name of await readdir(folder)) {
    if (name.startsWith(prefix) && name.endsWith('.rotor-tmp')) await rm(join(folder, name), { force: true });
  }
  const temporary = join(folder, `${prefix}${randomUUID()}.rotor-tmp`);
  const bytes = Buffer.from(content.reveal());
  try {
    await writeNewFile(temporary, bytes, file);
    call.deadline.assertTime(`replace ${path}`);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    bytes.fill(0);
  }
  await syncFolder(folder);
}
