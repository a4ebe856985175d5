import { readFile, writeFile } from 'node:fs/promises';

/**
 * Two demos in one folder would take each other's files away.
 * @param file where the running one has left its process id
 * @throws Error while another one runs
 */
export async function assertOnlyOne(file: string): Promise<void> {
  const pid = Number(await readFile(file, 'utf8').catch(() => ''));
  if (pid > 0 && pid !== process.pid && isAlive(pid))
    throw new Error(
      `another demo is running here, as process ${pid} (if that is something else, remove ${file})`,
    );
}

/** Says that this process is the one. */
export async function takePlace(file: string): Promise<void> {
  await writeFile(file, String(process.pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
