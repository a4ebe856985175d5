import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));
const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));

export interface Child {
  readonly pid: number;
  /** The first line that it printed. */
  readonly firstLine: string;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

/** Starts `rotor <command>` with the demo's settings; its log goes to a file. */
export function startRotor(
  command: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Child> {
  return start([ROTOR, command], join(folder, `${command}.log`), env);
}

export function startClient(name: string, credentialFile: string, folder: string): Promise<Child> {
  return start([CLIENT, name, credentialFile], join(folder, `${name}.log`), {});
}

/** The channel makes children end with this process, however it ends. */
async function start(
  args: readonly string[],
  log: string,
  env: Readonly<Record<string, string>>,
): Promise<Child> {
  const child: ChildProcess = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  child.stderr?.on('data', (bytes) => {
    appendFile(log, bytes).catch(() => undefined);
  });
  const exited = once(child, 'exit');
  const firstLine = await new Promise<string>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(output.split('\n')[0] ?? '');
    });
    child.once('exit', () => reject(new Error(`${args.join(' ')} ended before it was ready; see ${log}`)));
  });
  return {
    pid: child.pid ?? 0,
    firstLine,
    kill: (signal) => {
      child.kill(signal);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
