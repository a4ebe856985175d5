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

  /** Ends all processes; an event that is being worked on fails as if its process had crashed. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    const all = [...this.#idle.splice(0), ...this.#busy];
    for (const each of all) each.kill();
    await Promise.all(all.map((each) => each.exited));
  }
}
