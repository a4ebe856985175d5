import { spawn } from 'node:child_process';
import { foreignCode } from '../../../core/errors.ts';
import type { Deadline } from '../../../core/retry.ts';

/** What a command sees of the outside: no secret, nothing of the worker's own environment. */
export interface CommandFacts {
  readonly consumer: string;
  /** Id of the delivered version; absent before there is one. */
  readonly versionId?: string;
}

/**
 * Runs a program without a shell, in a process group of its own, which is killed at the deadline. What it prints
 * is dropped: it may quote the secret that it has just read.
 * @returns what went wrong, in words; undefined when it exited with 0
 */
export async function runCommand(
  deadline: Deadline,
  run: readonly [string, ...string[]],
  facts: CommandFacts,
): Promise<string | undefined> {
  const [program, ...args] = run;
  const child = spawn(program, args, {
    cwd: '/',
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      ROTOR_CONSUMER: facts.consumer,
      ...(facts.versionId === undefined ? {} : { ROTOR_VERSION_ID: facts.versionId }),
    },
    stdio: 'ignore',
    detached: true,
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, deadline.remainingMs());
  try {
    return await new Promise((resolve) => {
      child.once('error', (error) => resolve(`${program} can't be run (${foreignCode(error)})`));
      child.once('exit', (code, signal) => {
        if (late) resolve(`${program} didn't end in time and was killed`);
        else if (code === 0) resolve(undefined);
        else resolve(`${program} ended with ${code === null ? signal : `exit code ${code}`}`);
      });
    });
  } finally {
    clearTimeout(timer);
  }
}

/** `detached` made the child the leader of a group with its own id: its children go with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself in this moment.
  }
}
