import type { Clock } from '../../core/clock.ts';
import { asRotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import type { SecretValue } from '../../core/secret.ts';
import { inSpan, rotationDuration, rotationsTotal } from '../../core/telemetry.ts';
import type { Ledger } from '../../ledger/database.ts';
import { readJournal } from '../../ledger/journal.ts';
import { claimRotation } from '../../ledger/rotations.ts';
import type { Faults } from './faults.ts';
import { Lease } from './lease.ts';
import { openParts, type Registries } from './parts.ts';
import { Run } from './run.ts';
import type { RotationSpec } from './spec.ts';
import type { StepTable } from './steps.ts';

/** What a worker is built of. */
export interface Saga {
  readonly ledger: Ledger;
  readonly registries: Registries;
  /** Key of the fingerprints (HMAC-SHA-256) by which leaked values are recognised. */
  readonly fingerprintKey: SecretValue;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly faults: Faults;
  /** The steps, in the order of their names; all ten unless a benchmark measures the engine alone. */
  readonly steps?: StepTable;
  /** A step that hangs is given up after that long; two minutes, and twenty for a rollout, unless said. */
  readonly stepLimitMs?: number;
  /** Name of this worker, for people: host and process. */
  readonly worker: string;
  readonly leaseMs: number;
}

/**
 * `waiting`: to be woken in `wakeInMs`. `let-go`: somebody else goes on (fenced, or shutting down).
 * `not-claimed`: held by another, ended, or not yet to be woken.
 */
export type RunOutcome =
  | { readonly state: 'done' | 'rolled-back' | 'needs-human' | 'let-go' | 'not-claimed' }
  | { readonly state: 'waiting'; readonly wakeInMs: number };

/**
 * Takes a rotation as far as it goes now: to its end, to a wait, or to a shutdown. Duplicate and late calls are
 * harmless, since a rotation is held by one worker at a time and every write of another is refused.
 * @param stop when aborted, the step at hand is finished and the rotation handed over
 */
export async function runRotation(saga: Saga, id: string, stop?: AbortSignal): Promise<RunOutcome> {
  const askedAt = saga.clock.monotonicMs();
  const rotation = await claimRotation<RotationSpec>(saga.ledger, id, saga.worker, saga.leaseMs);
  if (!rotation) return { state: 'not-claimed' };
  const lease = new Lease(saga.clock, saga.leaseMs, askedAt);
  const log = saga.log.child({ rotation: id, policy: rotation.policy, epoch: String(rotation.epoch) });
  const attributes = {
    'rotor.rotation.id': id,
    'rotor.policy': rotation.policy,
    'rotor.worker': saga.worker,
  };
  return inSpan(
    'rotor.rotation',
    attributes,
    async (span) => {
      const journal = rotation.journaled ? await readJournal(saga.ledger, id) : [];
      const run = new Run({ saga, rotation, lease, log, journal, stop });
      let outcome: RunOutcome;
      try {
        outcome = await run.go(() => openParts(rotation.spec, saga.registries));
      } catch (thrown) {
        const error = asRotorError(thrown, 'the rotation');
        // The ledger is out of reach or the rotation is somebody else's: the lease ends by itself, and the sweep finds it.
        log.warn({ err: error }, 'the rotation was let go');
        outcome = { state: 'let-go' };
      } finally {
        await run.close();
      }
      span.setAttribute('rotor.state', outcome.state);
      if (outcome.state === 'done' || outcome.state === 'rolled-back' || outcome.state === 'needs-human') {
        rotationsTotal().add(1, { state: outcome.state });
        const seconds = (saga.clock.now().getTime() - rotation.createdAt.getTime()) / 1_000;
        rotationDuration().record(Math.max(0, seconds), { state: outcome.state });
      }
      return outcome;
    },
    rotation.trace,
  );
}
