import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';
import type { Random } from './random.ts';
import type { Deadline } from './retry.ts';

/**
 * What every side effect gets to know: how long it may take, whose turn it is, and the injected clock,
 * randomness and log. Nothing else reaches a rotator, a store, a delivery or a rollout.
 */
export interface Call {
  /** Ends before the worker's lease does: what hasn't started by then must not start. */
  readonly deadline: Deadline;
  /**
   * Fencing token: grows with every claim of any rotation, from one sequence in the ledger. Whoever can
   * remember the highest token it has seen refuses a lower one, and so stops a worker that slept.
   */
  readonly fence: bigint;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
