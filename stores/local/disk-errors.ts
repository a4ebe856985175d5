import { foreignCode, RotorError } from '../../core/errors.ts';

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'Let the user of this process read and write the folder (mode 0700, same owner).',
  EPERM: 'Let the user of this process read and write the folder (mode 0700, same owner).',
  EROFS: 'Mount the file system of the store writable.',
  ENOTDIR: 'A part of the path is a file: correct `path` of the store.',
  EMFILE: 'Raise the limit of open files (ulimit -n) of this process.',
  EIO: 'The disk reports errors: look at the system log and at the health of the disk.',
};

/** Says in the store's words what the file system refused. Node's messages hold paths only, never content. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RotorError) throw error;
    const code = foreignCode(error);
    if (code === undefined) throw error;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new RotorError('store.full', { what: `local store: no space left for ${path}`, cause: error });
    }
    const hint = HINTS[code];
    throw new RotorError('store.unavailable', {
      what: `local store: ${path} can't be used (${code})`,
      ...(hint ? { hint } : {}),
      cause: error,
    });
  }
}
