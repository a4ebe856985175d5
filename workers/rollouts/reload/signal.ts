import { open, stat } from 'node:fs/promises';
import { foreignCode, RotorError } from '../../../core/errors.ts';

/**
 * The process that a pid file names, checked so that the file can't be used to signal somebody else's: it must be
 * alive, and belong to the file's owner, unless that is root (who may point at any, as nginx and PostgreSQL's
 * init scripts do). Not seen: a stale file whose number was given to another process of the same user.
 * @throws RotorError `rollout.reload-failed`
 */
export async function signalledProcess(consumer: string, pidFile: string): Promise<number> {
  const fail = (why: string) =>
    new RotorError('rollout.reload-failed', { what: `consumer ${consumer}: pid file ${pidFile} ${why}` });
  const { text, owner } = await readPidFile(pidFile, fail);
  // Only the first line counts: PostgreSQL's postmaster.pid has more.
  const line = text.split('\n')[0]?.trim() ?? '';
  if (!/^\d{1,10}$/.test(line)) throw fail('does not begin with a process number');
  const pid = Number(line);
  // 0 would be our own group, 1 is init, and the worker itself would die of SIGHUP.
  if (pid <= 1 || pid === process.pid) throw fail(`names process ${pid}, which is never signalled`);
  try {
    process.kill(pid, 0);
  } catch (error) {
    throw fail(
      foreignCode(error) === 'EPERM'
        ? `names process ${pid} of another user`
        : `names no live process (${pid})`,
    );
  }
  if (owner !== 0 && process.getuid?.() === 0 && (await ownerOf(pid)) !== owner) {
    throw fail(`belongs to user ${owner}, and process ${pid} does not`);
  }
  return pid;
}

/** Sends the signal. @throws RotorError `rollout.reload-failed` when the process is gone */
export function sendSignal(consumer: string, pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    throw new RotorError('rollout.reload-failed', {
      what: `consumer ${consumer}: process ${pid} didn't take ${signal} (${foreignCode(error)})`,
    });
  }
}

async function readPidFile(
  pidFile: string,
  fail: (why: string) => RotorError,
): Promise<{ readonly text: string; readonly owner: number }> {
  try {
    const handle = await open(pidFile, 'r');
    try {
      const stats = await handle.stat();
      if (!stats.isFile() || stats.size > 4096) throw fail('is no pid file');
      if ((stats.mode & 0o002) !== 0) throw fail('can be written by everybody');
      return { text: await handle.readFile('utf8'), owner: stats.uid };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof RotorError) throw error;
    throw fail(`can't be read (${foreignCode(error)})`);
  }
}

/** Only a worker that runs as root asks: for all others the system itself refuses foreign processes. */
async function ownerOf(pid: number): Promise<number | undefined> {
  const stats = await stat(`/proc/${pid}`).catch(() => undefined);
  return stats?.uid;
}
