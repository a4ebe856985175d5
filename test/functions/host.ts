import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
export const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));

export interface Host {
  readonly url: string;
  /** All that it has written on standard error so far: its log. */
  log(): string;
  stop(): Promise<void>;
  /** As kill -9 does. */
  kill(): Promise<void>;
}

/**
 * `rotor functions serve` as a process of its own.
 * @param listen null: where it listens by itself
 */
export async function startHost(
  flags: readonly string[],
  env: Readonly<Record<string, string>>,
  listen: string | null = '127.0.0.1:0',
): Promise<Host> {
  const args = [ROTOR, 'functions', 'serve', ...(listen === null ? [] : ['--listen', listen]), ...flags];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (bytes) => {
    log += bytes;
  });
  const ended = endOf(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = / at (http:\S+):/.exec(line)?.[1];
    if (!url) continue;
    return {
      url,
      log: () => log,
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    };
  }
  throw new Error(`the function host did not start (${await ended}): ${log}`);
}

async function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}

/** @returns standard output and error, and the exit code */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await exec(program, [...args], {
      env: { ...process.env, ...env },
      ...(cwd ? { cwd } : {}),
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}
