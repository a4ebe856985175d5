import { setTimeout as delay } from 'node:timers/promises';

/** The one source of time. Wall time for people and schedules, monotonic time for leases and deadlines. */
export interface Clock {
  now(): Date;
  /** Milliseconds that never jump; only differences mean something. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {});
  },
};

/** A clock for tests: time passes only when told, and `sleep` takes no real time. */
export class FakeClock implements Clock {
  #now: number;

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#now = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#now);
  }

  monotonicMs(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.advance(ms);
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}
