import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../core/clock.ts';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));
/** Whoever hasn't ended by then is killed. */
const PATIENCE_MS = 10_000;

export interface Child {
  readonly pid: number;
  /** The first line that it printed. */
  readonly firstLine: string;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts `rotor <command>` with the demo's settings; its log goes to a file. The channel makes it end with this process,
 * however that ends; Ctrl-C in a terminal reaches this process only.
 */
export async function startRotor(
  command: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Child> {
  const log = join(folder, `${command}.log`);
  const child: ChildProcess = spawn(process.execPath, [ROTOR, command], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
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
    child.once('exit', () => reject(new Error(`rotor ${command} ended before it was ready; see ${log}`)));
  });
  const kill = (signal: NodeJS.Signals) => {
    child.kill(signal);
  };
  return {
    pid: child.pid ?? 0,
    firstLine,
    kill,
    stop: async () => {
      const patience = new AbortController();
      kill('SIGTERM');
      kill('SIGCONT');
      systemClock.sleep(PATIENCE_MS, patience.signal).then(
        () => kill('SIGKILL'),
        () => undefined,
      );
      await exited;
      patience.abort();
    },
  };
}
