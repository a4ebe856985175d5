import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FunctionSpec } from './function-spec.ts';
import { LogLines } from './log-lines.ts';
import type { ErrorMessage, InvokeMessage, ProcessMessage } from './messages.ts';
import type { Outcome } from './outcome.ts';

/** In a checkout the sources run as they are. */
const RUNTIME = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'runtime.ts' : 'runtime.js', import.meta.url),
);
/** As long as Lambda gives a function to load. */
const INIT_MS = 10_000;
/** For the last lines of the log, should a function have closed its streams. */
const LAST_LINES_MS = 1_000;

export interface Invocation {
  readonly requestId: string;
  readonly event: string;
}

/** One process of a function. It takes one event at a time; after a time-out or a crash it is of no use any more. */
export class FunctionProcess {
  readonly #spec: FunctionSpec;
  readonly #child: ChildProcess;
  readonly #logs: readonly [LogLines, LogLines];
  readonly #ready: Promise<ErrorMessage | undefined>;
  readonly #exited: Promise<string>;
  #requestId: string | undefined;
  #usable = true;

  /** @param onLine each line that the function writes, with the request that it belongs to */
  constructor(spec: FunctionSpec, onLine: (line: string, requestId: string | undefined) => void) {
    this.#spec = spec;
    const child = fork(RUNTIME, [spec.file, spec.exported], {
      execArgv: [`--max-old-space-size=${spec.memoryMiB}`],
      env: { ...spec.environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Ctrl-C in a terminal reaches the whole group: the host decides when its functions end.
      detached: true,
    });
    this.#child = child;
    const lines = () => new LogLines((line) => onLine(line, this.#requestId));
    this.#logs = [lines(), lines()];
    child.stdout?.on('data', (bytes: Buffer) => this.#logs[0].push(bytes));
    child.stderr?.on('data', (bytes: Buffer) => this.#logs[1].push(bytes));
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => resolve(`the process could not be started: ${error.name}`));
      child.once('exit', (status, signal) =>
        resolve(signal === null ? `exit status ${status}` : `signal: ${signal}`),
      );
    });
    void this.#exited.then(() => {
      this.#usable = false;
    });
    this.#ready = new Promise((resolve) => {
      child.on('message', (message: ProcessMessage) => {
        if (message.type === 'ready') resolve(undefined);
        if (message.type === 'unusable') resolve(message.error);
      });
    });
  }

  get usable(): boolean {
    return this.#usable;
  }

  /** Runs one event to its end, or to the function's time-out: then the process is killed. Never throws. */
  async invoke({ requestId, event }: Invocation): Promise<Outcome> {
    this.#requestId = requestId;
    const lastLines = Promise.all(this.#logs.map((each) => each.begin(requestId)));
    const { timeoutMs, name: functionName } = this.#spec;
    const started = await this.#within(this.#ready, INIT_MS);
    if (started.late)
      return this.#kill('Sandbox.Timedout', this.#told(requestId, 'it did not load within 10 seconds'));
    if (started.died !== undefined) return this.#died(requestId, started.died);
    if (started.value) return this.#kill(started.value.errorType, started.value.errorMessage);
    const message: InvokeMessage = { requestId, event, functionName, timeoutMs };
    const answer = new Promise<ProcessMessage>((resolve) => {
      const take = (answered: ProcessMessage) => {
        if (!('requestId' in answered) || answered.requestId !== requestId) return;
        this.#child.off('message', take);
        resolve(answered);
      };
      this.#child.on('message', take);
    });
    // One that is gone by now is noticed below.
    this.#child.send(message, () => undefined);
    const ended = await this.#within(answer, timeoutMs);
    if (ended.late) {
      const seconds = (timeoutMs / 1_000).toFixed(2);
      return this.#kill('Sandbox.Timedout', this.#told(requestId, `Task timed out after ${seconds} seconds`));
    }
    if (ended.died !== undefined) return this.#died(requestId, ended.died);
    await this.#within(lastLines, LAST_LINES_MS);
    this.#requestId = undefined;
    if (ended.value.type === 'returned') return { ok: true, payload: ended.value.payload, log: this.#tail() };
    const { errorType, errorMessage, kind } = 'error' in ended.value ? ended.value.error : NOTHING;
    return this.#failed(errorType, errorMessage, kind);
  }

  /** With everything that it started. */
  kill(): void {
    this.#usable = false;
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }

  get exited(): Promise<string> {
    return this.#exited;
  }

  #kill(errorType: string, errorMessage: string): Outcome {
    this.kill();
    return this.#failed(errorType, errorMessage);
  }

  #died(requestId: string, how: string): Outcome {
    return this.#failed('Runtime.ExitError', this.#told(requestId, `Runtime exited with error: ${how}`));
  }

  #told(requestId: string, what: string): string {
    return `RequestId: ${requestId} Error: ${what}`;
  }

  #failed(errorType: string, errorMessage: string, kind?: string): Outcome {
    const known = kind === 'retryable' || kind === 'terminal' || kind === 'ambiguous' ? kind : undefined;
    return { ok: false, errorType, errorMessage, kind: known, log: this.#tail() };
  }

  #tail(): string {
    return this.#logs
      .map((each) => each.tail)
      .join('')
      .slice(-4_096);
  }

  async #within<T>(work: Promise<T>, ms: number): Promise<Ended<T>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Ended<T>>((resolve) => {
      timer = setTimeout(() => resolve({ late: true }), ms);
    });
    const died = this.#exited.then((how) => ({ late: false as const, died: how }));
    const done = work.then((value) => ({ late: false as const, died: undefined, value }));
    try {
      return await Promise.race([done, died, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

type Ended<T> =
  | { readonly late: true }
  | { readonly late: false; readonly died: string }
  | { readonly late: false; readonly died: undefined; readonly value: T };

const NOTHING: ErrorMessage = { errorType: 'Runtime.Unknown', errorMessage: 'the function gave no answer' };
