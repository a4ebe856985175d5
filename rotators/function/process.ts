import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { errorOf, type Invoker, type StepEvent, type StepOutcome } from './invoke.ts';
import type { Lent } from './secret-desk.ts';

export interface ProgramSpec {
  readonly run: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** MiB. */
  readonly memory: number;
}

/** What is read of a program's output; the rest is thrown away. */
const MAX_OUTPUT = 64 * 1024;
/** For what it wrote before it ended. */
const LAST_WORDS_MS = 500;
/** `ulimit -v` counts KiB. What it is given comes as arguments, so that no word of a manifest is read by the shell. */
const LIMITED = 'ulimit -c 0; ulimit -v "$1" || exit 126; shift; exec "$@"';
/** Of util-linux, on every Linux: the program ends when the worker is killed. */
const WITH_PARENT = '/usr/bin/setpriv';

/**
 * A function as a program of its own: the event on standard input, nothing else but the address of the API and a key for
 * this step. It has a process group and a folder of its own, no variable of the worker's, a limit of memory, and is killed
 * with all that it started when its time is over. What it prints is dropped, since it may quote secrets, except for the
 * last line, by which it tells its error: `{"errorType","errorMessage"}`.
 * @param assertAllowed throws unless the operator lets policies run it
 */
export function processInvoker(
  name: string,
  { run, environment, memory }: ProgramSpec,
  assertAllowed: () => void,
): Invoker {
  return {
    name,
    async invoke(call, event, lent): Promise<StepOutcome> {
      if (!lent) throw new RotorError('internal.bug', { what: `${name} was to work without an API` });
      assertAllowed();
      call.deadline.assertTime(`${event.Step} of ${name}`);
      const folder = await mkdtemp(join(tmpdir(), 'rotor-function-'));
      try {
        const parent = existsSync(WITH_PARENT) ? [WITH_PARENT, '--pdeathsig', 'KILL', '--'] : [];
        const ended = await runToEnd(call, event, name, {
          args: ['-c', LIMITED, 'function', String(memory * 1_024), ...parent, ...run],
          folder,
          env: { ...environment, ...contractVariables(lent), HOME: folder, TMPDIR: folder },
        });
        return outcomeOf(name, event, ended);
      } finally {
        await rm(folder, { recursive: true, force: true, maxRetries: 2 });
      }
    },
  };
}

/** What a function of AWS looks for. The key works for this one secret, by this API alone, and until the step ends. */
function contractVariables({ endpoint, region, key, sessionToken }: Lent): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
    SECRETS_MANAGER_ENDPOINT: endpoint,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: key.accessKeyId,
    AWS_SECRET_ACCESS_KEY: key.secretAccessKey.reveal(),
    ...(sessionToken ? { AWS_SESSION_TOKEN: sessionToken.reveal() } : {}),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_MAX_ATTEMPTS: '3',
    AWS_RETRY_MODE: 'standard',
    ...(isLoopback(endpoint) ? { NO_PROXY: '*', no_proxy: '*' } : {}),
  };
}

/** What goes there never has to leave this machine. */
function isLoopback(endpoint: string): boolean {
  const { hostname } = new URL(endpoint);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

interface Started {
  readonly args: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** @throws RotorError `call.timeout` when its time was over, and it was killed */
function runToEnd(call: Call, event: StepEvent, name: string, started: Started): Promise<Ended> {
  return call.deadline.run(
    `${event.Step} of ${name}`,
    (signal) => new Promise((resolve, reject) => follow(event, started, signal, resolve, reject)),
  );
}

function follow(
  event: StepEvent,
  { args, folder, env }: Started,
  signal: AbortSignal,
  resolve: (ended: Ended) => void,
  reject: (error: unknown) => void,
): void {
  const child = spawn('/bin/sh', [...args], {
    cwd: folder,
    env,
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  let output = '';
  const kill = () => killGroup(child.pid);
  signal.addEventListener('abort', kill, { once: true });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-MAX_OUTPUT);
  });
  // One that doesn't read its event is told by its end.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(event));
  child.once('error', (error) => {
    reject(new RotorError('reference.unresolved', { what: 'a process can not be started', cause: error }));
  });
  child.once('exit', (code, ended) => {
    signal.removeEventListener('abort', kill);
    // What it left behind would go on, and hold the pipe; what escaped its group does only the latter.
    kill();
    const last = setTimeout(() => child.stdout.destroy(), LAST_WORDS_MS);
    const done = () => {
      clearTimeout(last);
      resolve({ code, signal: ended, output });
    };
    if (child.stdout.closed) done();
    else child.stdout.once('close', done);
  });
}

function outcomeOf(name: string, event: StepEvent, { code, signal, output }: Ended): StepOutcome {
  const what = `${event.Step} of ${name}`;
  if (code === 0) return { ok: true };
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const told = errorOf(last);
  if (told && code !== null) return { ok: false, ...told };
  if (code === 126 || code === 127) {
    throw new RotorError('reference.unresolved', {
      what: `${what}: the program can't be started (exit code ${code})`,
      hint: 'See that the program is on the machine of the workers and that they may run it.',
    });
  }
  throw new RotorError('function.failed', {
    what: `${what}: it ended with ${code === null ? signal : `exit code ${code}`} and told no error`,
    hint: 'Let it print {"errorType","errorMessage"} as its last line. Look whether `memory` is enough for it.',
  });
}

/** `detached` made the child the leader of a group with its own id: its children go with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
