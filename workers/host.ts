import { asRotorError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret.ts';
import { wakeableRotations } from '../ledger/rotations.ts';
import { patrol } from './drift/patrol.ts';
import { containLeaked } from './incidents/contain.ts';
import { findCurrent } from './incidents/find-current.ts';
import { gatherEvidence } from './incidents/gather.ts';
import { tryDead } from './incidents/try-dead.ts';
import { consumeQueue, INCIDENT_QUEUE, openQueue } from './queue/queue.ts';
import { runRotation, type Saga } from './saga/engine.ts';

export interface HostOptions {
  readonly saga: Saga;
  readonly queueUrl: SecretValue;
  /** Rotations at once in this process. */
  readonly concurrency: number;
  /** Distance of the recovery sweeps in milliseconds. */
  readonly sweepMs: number;
  /** Time between two looks at what a policy delivered, in milliseconds; none without it. */
  readonly driftMs?: number;
  readonly queueName?: string;
  /** Whether a queue in PostgreSQL is given its tables; true by default. */
  readonly migrate?: boolean;
}

export interface WorkerHost {
  /** Takes no new work, lets the step at hand finish, hands its rotations over. */
  close(): Promise<void>;
}

const SWEEP_BATCH = 200;
/** Time between two questions whether a look at deliveries is due. */
const PATROL_MS = 5_000;
const INCIDENTS_AT_ONCE = 20;
const GATHER_MS = 500;
const FIND_MS = 1_000;

/**
 * A worker: takes rotations from the queue, and sweeps the ledger for those whose job is gone (a flushed queue, a
 * killed worker, a wait that ended), so that the queue is never more than an alarm clock.
 */
export async function startWorkerHost(options: HostOptions): Promise<WorkerHost> {
  const { saga, concurrency, sweepMs } = options;
  const stop = new AbortController();
  const named = {
    url: options.queueUrl,
    log: saga.log,
    ...(options.queueName ? { name: options.queueName } : {}),
    ...(options.migrate === undefined ? {} : { migrate: options.migrate }),
  };
  const queue = await openQueue(named);

  const handle = async (id: string) => {
    if (stop.signal.aborted) return;
    try {
      const outcome = await runRotation(saga, id, stop.signal);
      if (outcome.state === 'waiting') {
        // A little late rather than early: before its wake-up time a rotation can't be claimed.
        await queue.wake(id, `wait_${saga.clock.now().getTime()}`, outcome.wakeInMs + 5);
      }
    } catch (thrown) {
      // Nothing is lost: the lease ends, and a sweep finds the rotation.
      saga.log.error(
        { err: asRotorError(thrown, 'a rotation'), rotation: id },
        'a turn at a rotation failed',
      );
    }
  };
  const consumer = await consumeQueue({ ...named, concurrency, handle });

  const wakeUp = async (id: string) =>
    queue.wake(id, `contained_${saga.clock.now().getTime()}`).catch(() => undefined);
  const containAll = (incidentId?: string) => containLeaked(saga, incidentId, wakeUp);
  const incidents = await consumeQueue({
    ...named,
    name: options.queueName ? `${options.queueName}-${INCIDENT_QUEUE}` : INCIDENT_QUEUE,
    concurrency: INCIDENTS_AT_ONCE,
    handle: async (id) => {
      await Promise.all([containAll(id).catch(containmentFailed), tryDead(saga).catch(containmentFailed)]);
    },
  });
  function containmentFailed(thrown: unknown): void {
    saga.log.warn({ err: asRotorError(thrown, 'containing') }, 'a containment failed; it is repeated');
  }
  const container = repeat(sweepMs, stop.signal, () => containAll(), containmentFailed);
  const prover = repeat(sweepMs, stop.signal, () => tryDead(saga), containmentFailed);

  const gatherer = repeat(
    GATHER_MS,
    stop.signal,
    () => gatherEvidence(saga),
    (thrown) =>
      saga.log.warn(
        { err: asRotorError(thrown, 'gathering evidence') },
        'evidence is not gathered yet; it is repeated',
      ),
  );

  const finder = repeat(
    FIND_MS,
    stop.signal,
    () => findCurrent(saga, stop.signal),
    (thrown) =>
      saga.log.warn(
        { err: asRotorError(thrown, 'looking for current versions') },
        'versions are not looked for yet; it is repeated',
      ),
  );

  const sweep = async () => {
    const found = await wakeableRotations(saga.ledger, SWEEP_BATCH);
    const second = Math.floor(saga.clock.now().getTime() / 1_000);
    for (const { id, epoch } of found) await queue.wake(id, `${epoch}_${second}`);
  };
  const sweeper = repeat(sweepMs, stop.signal, sweep, (thrown) =>
    saga.log.warn({ err: asRotorError(thrown, 'the sweep') }, 'the recovery sweep failed; it is repeated'),
  );
  const { driftMs } = options;
  const patrolling =
    driftMs === undefined
      ? undefined
      : repeat(
          Math.min(PATROL_MS, driftMs / 5),
          stop.signal,
          () => patrol(saga, driftMs, stop.signal).then(() => undefined),
          (thrown) =>
            saga.log.warn(
              { err: asRotorError(thrown, 'looking for drift') },
              'the look for drift failed; it is repeated',
            ),
        );
  return {
    close: async () => {
      stop.abort();
      await Promise.all([
        consumer.close(),
        incidents.close(),
        sweeper,
        container,
        prover,
        gatherer,
        finder,
        patrolling,
      ]);
      await queue.close();
    },
  };
}

/** Runs `work` every `ms`, never twice at once, until stopped. */
async function repeat(
  ms: number,
  stop: AbortSignal,
  work: () => Promise<void>,
  failed: (thrown: unknown) => void,
): Promise<void> {
  while (!stop.aborted) {
    await work().catch(failed);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        stop.removeEventListener('abort', done);
        resolve();
      }
      stop.addEventListener('abort', done);
    });
  }
}
