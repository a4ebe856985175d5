import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface ProcessSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Where standard output and error are appended. */
  readonly logFile: string;
  /** Folder of the node's process records, by which leftovers are found after a crash of the node. */
  readonly records: string;
}

export interface Exit {
  readonly exitCode: number;
  readonly signal?: number;
}

export interface LocalProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Asks the main process to end. */
  terminate(): void;
  /** Ends the main process and everything it started that stayed in its group. */
  kill(): void;
}

/** Starts a process in a group of its own. Rejects when the program can't be started. */
export async function startProcess(spec: ProcessSpec): Promise<LocalProcess> {
  const [command, ...args] = spec.argv;
  if (command === undefined) throw new Error('no command');
  const log = await open(spec.logFile, 'a', 0o600);
  try {
    const child = spawn(command, args, {
      env: spec.env,
      cwd: spec.cwd,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const exited = exitOf(child);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    const pid = child.pid as number;
    const record = join(spec.records, String(pid));
    await mkdir(spec.records, { recursive: true });
    await writeFile(record, (await identityOf(pid)) ?? '');
    return {
      pid,
      exited: exited.finally(() => {
        // What the main process left behind in its group belongs to the container and ends with it.
        killGroup(pid);
        return rm(record, { force: true });
      }),
      terminate: () => void child.kill('SIGTERM'),
      kill: () => killGroup(pid),
    };
  } finally {
    await log.close();
  }
}

/** Kills processes that an earlier run of the node left behind. */
export async function killLeftovers(records: string): Promise<number> {
  const names = await readdir(records).catch(() => []);
  let killed = 0;
  for (const name of names) {
    const pid = Number(name);
    const record = join(records, name);
    const known = await readFile(record, 'utf8');
    // The number may belong to somebody else by now: only the same process, started at the same time, is ours.
    if (known !== '' && known === (await identityOf(pid))) {
      killGroup(pid);
      killed += 1;
    }
    await rm(record, { force: true });
  }
  return killed;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ exitCode: 128 }));
    child.once('exit', (code, name) => {
      const signal = name ? constants.signals[name] : undefined;
      resolve(signal === undefined ? { exitCode: code ?? 0 } : { exitCode: 128 + signal, signal });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody left in the group.
  }
}

/** When a process started, in whatever form the system tells it; undefined when there is none. */
async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    if (process.platform === 'linux') return undefined;
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({
      stdout: '',
    }));
    return stdout.trim() || undefined;
  }
}
