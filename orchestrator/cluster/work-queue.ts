import type { Clock } from '../../core/clock.ts';
import { asRotorError, type RotorError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { backoffMs } from '../../core/retry.ts';

export interface WorkQueueOptions {
  /** Does what there is to do for a key. What arrives meanwhile is done afterwards. */
  readonly work: (key: string) => Promise<void>;
  readonly failed: (key: string, error: RotorError) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** Keys worked on at once. */
  readonly width: number;
  /** What comes within that time is done in one go. */
  readonly gatherMs: number;
}

const BACKOFF = { baseMs: 500, maxMs: 20_000 } as const;

/** Keys with something to do: each worked on by one at a time, several at once, failed ones again after a pause. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #stop = new AbortController();
  /** By key, the monotonic time from which on it may be worked on. */
  readonly #due = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #working = new Map<string, Promise<void>>();
  #alarm = new AbortController();
  readonly #ended: Promise<void>;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  /** Has `key` worked on in `inMs`, or earlier when that was asked for already. */
  add(key: string, inMs = this.#options.gatherMs): void {
    const at = this.#options.clock.monotonicMs() + inMs;
    this.#due.set(key, Math.min(this.#due.get(key) ?? Number.POSITIVE_INFINITY, at));
    this.#alarm.abort();
  }

  /** Ends what is being worked on, and begins nothing. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#alarm.abort();
    await this.#ended;
    await Promise.all(this.#working.values());
  }

  async #run(): Promise<void> {
    const { clock, width } = this.#options;
    while (!this.#stop.signal.aborted) {
      this.#alarm = new AbortController();
      const now = clock.monotonicMs();
      const free = [...this.#due].filter(([key]) => !this.#working.has(key));
      for (const [key, at] of free) {
        if (at > now || this.#working.size >= width) continue;
        this.#due.delete(key);
        this.#working.set(key, this.#work(key));
      }
      const waiting = free.filter(([key, at]) => at > now && this.#due.has(key)).map(([, at]) => at - now);
      // Without anything to wait for it sleeps until something is added or done.
      const ms = Math.min(60_000, ...waiting);
      const { signal } = this.#alarm;
      await clock.sleep(ms, signal).catch(() => undefined);
    }
  }

  async #work(key: string): Promise<void> {
    const { work, failed, random } = this.#options;
    try {
      await work(key);
      this.#failures.delete(key);
    } catch (thrown) {
      const error = asRotorError(thrown, `reconciling ${key}`);
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      failed(key, error);
      this.add(key, error.retryAfterMs ?? backoffMs(failures, BACKOFF, random.int(1_000) / 1_000));
    } finally {
      this.#working.delete(key);
      this.#alarm.abort();
    }
  }
}
