import type { Clock } from '../../../core/clock.ts';
import { backoffMs } from '../../../core/retry.ts';

const RETRY = { baseMs: 20, maxMs: 30_000 };
/** Longer pauses don't fit a timer. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1;

/** Milliseconds after which to look again although nothing changed; undefined for never. */
export type Again = number | undefined;

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Keys worked on at the same time; one key never is, twice. */
  readonly workers: number;
  /** Told of every failure; the key is tried again after a pause that grows. */
  readonly onError: (key: string, error: unknown) => void;
}

/** Works on keys: asked twice for one that waits, it works once; asked during the work, once more afterwards. */
export class WorkQueue {
  readonly #work: (key: string) => Promise<Again>;
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #dirty = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, AbortController>();

  constructor(work: (key: string) => Promise<Again>, options: WorkQueueOptions) {
    this.#work = work;
    this.#options = options;
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#running.has(key)) this.#dirty.add(key);
    else {
      this.#waiting.add(key);
      this.#pump();
    }
  }

  /** Ends when nothing is being worked on any more; start it after the signal has been aborted. */
  async drained(): Promise<void> {
    for (const timer of this.#timers.values()) timer.abort();
    await Promise.all(this.#running.values());
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.workers || this.#options.signal.aborted) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    // Without this turn, a burst of events would be answered one by one instead of together.
    await new Promise(setImmediate);
    try {
      const again = await this.#work(key);
      this.#failures.delete(key);
      if (again !== undefined) this.#addAfter(key, again);
    } catch (error) {
      if (!this.#options.signal.aborted) {
        const failures = (this.#failures.get(key) ?? 0) + 1;
        this.#failures.set(key, failures);
        this.#options.onError(key, error);
        this.#addAfter(key, backoffMs(failures, RETRY, Math.random()));
      }
    } finally {
      this.#running.delete(key);
      if (this.#dirty.delete(key)) this.add(key);
      this.#pump();
    }
  }

  #addAfter(key: string, ms: number): void {
    this.#timers.get(key)?.abort();
    const timer = new AbortController();
    this.#timers.set(key, timer);
    const pause = Math.min(Math.max(0, ms), LONGEST_PAUSE_MS);
    this.#options.clock.sleep(pause, AbortSignal.any([timer.signal, this.#options.signal])).then(
      () => {
        if (this.#timers.get(key) === timer) this.#timers.delete(key);
        this.add(key);
      },
      () => undefined,
    );
  }
}
