import type { ErrorKind } from '../../../core/error-codes.ts';
import { foreignCode, RotorError } from '../../../core/errors.ts';

const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOENT: ['its directory does not exist', 'Create the directory, or mount it into the worker.'],
  ENOTDIR: ['a part of its path is not a directory', 'Correct `path`.'],
  EACCES: [
    'the worker may not write there',
    "Give the worker's user write and search permission on the directory.",
  ],
  EPERM: [
    'the worker may not do that',
    'Run the worker as the owner (only root gives files to others), or drop `owner`.',
  ],
  EROFS: ['the file system is mounted read-only', 'Mount it writable for the worker.'],
  ENOSPC: ['no space is left on the disk', 'Free disk space; the old content is untouched.'],
  EDQUOT: ['the disk quota is used up', 'Free disk space; the old content is untouched.'],
  EISDIR: ['it is a directory', 'Name a file in `path`.'],
};

/** Says in the delivery's words what the file system refused. Node's messages hold paths only, never content. */
export async function onTarget<T>(target: string, work: () => Promise<T>, kind?: ErrorKind): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RotorError) throw error;
    const code = foreignCode(error);
    if (code === undefined) throw error;
    const [reason, hint] = REASONS[code] ?? [`the file system refused (${code})`, undefined];
    throw new RotorError('delivery.failed', {
      what: `${target}: ${reason}`,
      ...(hint ? { hint } : {}),
      ...(kind ? { kind } : {}),
      cause: error,
    });
  }
}

export function refused(target: string, why: string, hint: string): RotorError {
  return new RotorError('delivery.failed', { what: `${target}: ${why}`, hint, kind: 'terminal' });
}
