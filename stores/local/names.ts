import { join } from 'node:path';
import { RotorError } from '../../core/errors.ts';

/** Well below the 255 bytes that file systems allow for a name. */
const MAX_PATH = 200;

/**
 * Folder of a store path below the store's root. One level: `shop` and `shop/app` may both be paths, and `~`
 * can't occur in either, so two paths never share a folder.
 * @throws RotorError `manifest.invalid` for anything that could leave the root or surprise a shell
 */
export function folderOf(root: string, path: string): string {
  const valid =
    path.length <= MAX_PATH && path.split('/').every((part) => /^[\w.-]*[\w-][\w.-]*$/.test(part));
  if (!valid) {
    throw new RotorError('manifest.invalid', {
      what: `store path ${JSON.stringify(path.slice(0, MAX_PATH))} is not usable in a local store`,
      hint: `Use at most ${MAX_PATH} letters, digits, "_", "-" and ".", in parts split by "/" that aren't "." or "..".`,
    });
  }
  return join(root, path.replaceAll('/', '~'));
}

/** Checked because it becomes part of a file name. */
export function assertVersionId(versionId: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(versionId)) return;
  throw new RotorError('internal.bug', {
    what: `version id ${JSON.stringify(versionId.slice(0, 64))} has characters that no id of the ledger has`,
  });
}

export function indexName(generation: number): string {
  return `index.${String(generation).padStart(6, '0')}.json`;
}

/** Generation of an index file's name; undefined for any other file. */
export function generationOf(name: string): number | undefined {
  const match = /^index\.(\d{6,15})\.json$/.exec(name);
  return match ? Number(match[1]) : undefined;
}
