import { open, rm } from 'node:fs/promises';

export interface NewFile {
  /** Permission bits the finished file has; until then it is 0600. */
  readonly mode: number;
  /** Owner and group as numbers; left alone when absent. */
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Writes a file that must not exist yet and returns when its bytes are on disk. The name becomes durable only
 * with {@link syncFolder}. Owner comes before mode, so that no moment shows the content to the wrong group.
 * What was written so far is removed when anything fails.
 * @throws the file system's own error (`EEXIST`, `ENOSPC`, `EACCES`): callers say what it means for them
 */
export async function writeNewFile(path: string, content: Uint8Array, file: NewFile): Promise<void> {
  // 'wx' is O_EXCL: a file or link that somebody put there beforehand is never written through.
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    if (file.uid !== undefined || file.gid !== undefined) {
      const own = await handle.stat();
      await handle.chown(file.uid ?? own.uid, file.gid ?? own.gid);
    }
    await handle.chmod(file.mode);
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Makes names in a folder (created, linked, renamed, removed) survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
