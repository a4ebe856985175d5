import { FunctionProcess, type Invocation } from './function-process.ts';
import type { FunctionSpec } from './function-spec.ts';
import { type Outcome, TooManyInvocations } from './outcome.ts';

/** Events that wait for a free process, when their senders don't wait for the answer. */
const MOST_WAITING = 1_000;

/**
 * The processes of one function: kept warm, at most `concurrency` of them, each with one event at a time. One that timed
 * out or crashed is replaced when it is needed next.
 */
export class FunctionPool {
  readonly spec: FunctionSpec;
  readonly #onLine: (line: string, requestId: string | undefined) => void;
  readonly #idle: FunctionProcess[] = [];
  readonly #busy = new Set<FunctionProcess>();
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(spec: FunctionSpec, onLine: (line: string, requestId: string | undefined) => void) {
    this.spec = spec;
    this.#onLine = onLine;
  }

  /**
   * @param patient waits for a free process; else there must be one at once
   * @throws TooManyInvocations
   */
  async invoke(invocation: Invocation, patient = false): Promise<Outcome> {
    while (this.#closed || this.#busy.size >= this.spec.concurrency) {
      if (this.#closed || !patient || this.#waiting.length >= MOST_WAITING) throw new TooManyInvocations();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const taken = this.#take();
    this.#busy.add(taken);
    try {
      return await taken.invoke(invocation);
    } finally {
      this.#busy.delete(taken);
      if (taken.usable && !this.#closed) this.#idle.push(taken);
      else taken.kill();
      this.#waiting.shift()?.();
    }
  }

  #take(): FunctionProcess {
    for (let found = this.#idle.pop(); found; found = this.#idle.pop()) if (found.usable) return found;
    return new FunctionProcess(this.spec, this.#onLine);
  }

  /**
   * Takes no more events, lets those that run come to their end, and ends all processes. One that takes longer than
   * `graceMs` fails as if its process had crashed.
   */
  async close(graceMs = 10_000): Promise<void> {
    this.#closed = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    const idle = this.#idle.splice(0);
    for (const each of idle) each.kill();
    const busy = [...this.#busy];
    const late = setTimeout(() => {
      for (const each of busy) each.kill();
    }, graceMs);
    // Each is killed when its event is done.
    await Promise.all([...idle, ...busy].map((each) => each.exited));
    clearTimeout(late);
  }
}
