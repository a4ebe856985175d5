import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `rotor up` in its embedded mode, and commands against it. */
export interface RunningRotor {
  run(args: readonly string[], input?: string): Promise<Ran>;
  /** Asks it to end. @returns what it wrote to its log */
  stop(): Promise<string>;
}

/** @param env added to this process's for the server and the commands */
export async function startRotor(home: string, env: Record<string, string> = {}): Promise<RunningRotor> {
  const all = { ...process.env, ROTOR_HOME: home, ROTOR_MODE: 'embedded', ...env };
  const child = spawn(process.execPath, [ROTOR, 'up'], {
    env: { ...all, ROTOR_LISTEN: '127.0.0.1:0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /running at (http:\S+);/.exec(output)?.[1];
        if (found) resolve(found);
      });
    }
    child.once('exit', () => reject(new Error(`rotor up ended:\n${output}`)));
  });
  return {
    run: (args, input = '') =>
      ran(spawn(process.execPath, [ROTOR, ...args], { env: { ...all, ROTOR_URL: url } }), input),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
      }
      return output;
    },
  };
}

async function ran(child: ChildProcess, input: string): Promise<Ran> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
