import type { Clock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';

/**
 * A worker's hold on a rotation, as it may believe in it: counted from before the claim was sent, by a clock that goes
 * on while the process is stopped, so it always ends before the database gives the rotation to somebody else.
 */
export class Lease {
  readonly #clock: Clock;
  readonly ms: number;
  #until: number;
  #lost = false;

  constructor(clock: Clock, ms: number, askedAt: number) {
    this.#clock = clock;
    this.ms = ms;
    this.#until = askedAt + ms;
  }

  /** @param askedAt monotonic time before the renewal was sent */
  renewed(askedAt: number): void {
    this.#until = Math.max(this.#until, askedAt + this.ms);
  }

  /**
   * Renews it three times as often as it takes, until it is told to stop.
   * @param renew says whether it is still ours; rejects when nobody could tell
   * @returns stops
   */
  keep(renew: (ms: number) => Promise<boolean>): () => void {
    const again = async () => {
      const askedAt = this.#clock.monotonicMs();
      const held = await renew(this.ms).catch(() => undefined);
      if (held === true) this.renewed(askedAt);
      if (held === false) this.lose();
    };
    const timer = setInterval(() => void again(), this.ms / 3);
    timer.unref();
    return () => clearInterval(timer);
  }

  lose(): void {
    this.#lost = true;
  }

  remainingMs(): number {
    return this.#lost ? 0 : Math.max(0, this.#until - this.#clock.monotonicMs());
  }

  /** Ends with the lease, a little early: an effect that starts now must be over before somebody else may start. */
  deadline(): Deadline {
    return Deadline.following(() => this.remainingMs() - Math.min(1_000, this.ms / 10));
  }

  /** @throws RotorError `lease.expired` */
  assertHeld(rotationId: string): void {
    if (this.remainingMs() > 0) return;
    throw new RotorError('lease.expired', {
      what: `rotation ${rotationId}: this worker's lease ended before its work did`,
    });
  }
}
