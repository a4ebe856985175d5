import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import { RotorError } from './errors.ts';

/** A point in time by which work must have ended. Side effects start only before it. */
export class Deadline {
  readonly #remaining: () => number;

  private constructor(remaining: () => number) {
    this.#remaining = remaining;
  }

  static after(ms: number, clock: Clock = systemClock): Deadline {
    const at = clock.monotonicMs() + ms;
    return new Deadline(() => at - clock.monotonicMs());
  }

  /** A deadline that may move, such as the end of a lease that is being renewed. `remaining` is in milliseconds. */
  static following(remaining: () => number): Deadline {
    return new Deadline(remaining);
  }

  /** The earlier of this deadline and `ms` from now. */
  within(ms: number, clock: Clock = systemClock): Deadline {
    const fixed = Deadline.after(ms, clock);
    return new Deadline(() => Math.min(this.#remaining(), fixed.#remaining()));
  }

  /** Milliseconds left, never negative. */
  remainingMs(): number {
    return Math.max(0, this.#remaining());
  }

  get expired(): boolean {
    return this.remainingMs() === 0;
  }

  /** @throws RotorError `call.timeout`, retryable: nothing was sent yet. */
  assertTime(doing: string): void {
    if (this.expired)
      throw new RotorError('call.timeout', { what: `${doing}: no time left`, kind: 'retryable' });
  }

  /**
   * Runs `work` with a signal that aborts at the deadline.
   * @throws RotorError `call.timeout` (ambiguous: the other side may have done it).
   */
  async run<T>(doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.assertTime(doing);
    const abort = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      const check = () => {
        if (!this.expired) {
          timer = setTimeout(check, this.remainingMs());
          return;
        }
        const timeout = new RotorError('call.timeout', { what: `${doing}: no answer in time` });
        abort.abort(timeout);
        reject(timeout);
      };
      timer = setTimeout(check, this.remainingMs());
    });
    try {
      return await Promise.race([work(abort.signal), expiry]);
    } finally {
      clearTimeout(timer);
    }
  }
}

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Exponential backoff with full jitter, in milliseconds. `attempt` counts from 1, `random` is in [0, 1). */
export function backoffMs(attempt: number, { baseMs, maxMs }: Backoff, random: number): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

export interface RetryOptions extends Backoff {
  readonly attempts: number;
  readonly deadline: Deadline;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly signal?: AbortSignal;
  /** Told before each pause; for logs. */
  readonly onRetry?: (error: RotorError, attempt: number) => void;
}

/** Repeats `work` while it throws a retryable RotorError, attempts remain and the deadline allows. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock = systemClock, random = Math.random } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      const again = error instanceof RotorError && error.kind === 'retryable' && attempt < options.attempts;
      if (!again) throw error;
      const pause = error.retryAfterMs ?? backoffMs(attempt, options, random());
      if (pause >= options.deadline.remainingMs()) throw error;
      options.onRetry?.(error, attempt);
      await clock.sleep(pause, options.signal);
    }
  }
}
