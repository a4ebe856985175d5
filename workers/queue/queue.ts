import { setTimeout } from 'node:timers/promises';
import { type Job, Queue, SchemaMigrationRequiredError, Worker } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import { RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { Deadline } from '../../core/retry.ts';
import type { SecretValue } from '../../core/secret.ts';
import { lazily } from '../../core/telemetry.ts';
import { connectQueue } from './connection.ts';

/** Wakes workers up. The ledger is the truth: losing everything in here costs a sweep, not a rotation. */
export interface RotationQueue {
  /**
   * Wakes a worker for a rotation. `turn` names the occasion: the same one twice is one job.
   * @param delayMs not before that many milliseconds
   * @throws RotorError `call.timeout` when the queue is out of reach; it may still take the job when it is back
   */
  wake(rotationId: string, turn: string, delayMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface QueueOptions {
  readonly url: SecretValue;
  readonly log: Logger;
  /** Whether a queue in PostgreSQL is given its tables, true by default; otherwise `rotor migrate` has done it. */
  readonly migrate?: boolean;
  /** Another name keeps test suites apart on one server. */
  readonly name?: string;
}

interface RotationJob {
  readonly rotationId: string;
}

const NAME = 'rotations';
/** A revocation never waits behind the midnight batch: its jobs carry the id of an incident. */
export const INCIDENT_QUEUE = 'incidents';
/** Clients of Redis wait for a server that is away for ever; callers have the sweep to fall back on. */
const ANSWER_MS = 5_000;
const AGAIN_MS = 100;
/**
 * Carries the trace context through the queue. Jobs return nothing and never fail, so spans hold no results or errors.
 * Made when first used: this package has an OpenTelemetry API of its own (CommonJS), where a tracer that was made
 * before the SDK started stays deaf for ever.
 */
const telemetry = lazily(() => new BullMQOtel({ tracerName: 'rotor.queue' }));

export async function openQueue({ url, log, migrate, name = NAME }: QueueOptions): Promise<RotationQueue> {
  const { factory, close, ...connection } = await connectQueue(url, log, migrate);
  const options = {
    connection: connection.connection,
    ...(connection.prefix ? { prefix: connection.prefix } : {}),
    telemetry: telemetry(),
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  };
  const queue = factory
    ? new Queue<RotationJob>(name, options, factory as never)
    : new Queue<RotationJob>(name, options);
  queue.on('error', (error) => log.warn({ err: error }, 'the queue has a problem'));
  await queue.waitUntilReady().catch((thrown) => {
    throw schemaMissing(thrown);
  });
  return {
    // Job ids must not contain ":" or be bare integers.
    wake: async (rotationId, turn, delayMs = 0) => {
      const job = { jobId: `${rotationId}_${turn}`, delay: Math.ceil(delayMs) };
      await Deadline.after(ANSWER_MS).run('waking a worker through the queue', async (signal) => {
        for (;;) {
          try {
            await queue.add('turn', { rotationId }, job);
            return;
          } catch (thrown) {
            // While a cluster sorts itself out, its client may ask a replica, which refuses to write.
            if (signal.aborted) throw thrown;
            await setTimeout(AGAIN_MS);
          }
        }
      });
    },
    close: async () => {
      await unlessAway(queue.close(), () => queue.disconnect());
      await close();
    },
  };
}

export interface ConsumeOptions extends QueueOptions {
  readonly concurrency: number;
  readonly handle: (rotationId: string) => Promise<void>;
}

/** Works through the queue until closed; closing waits for the jobs at hand, but not for a queue that is away. */
export async function consumeQueue({
  url,
  log,
  migrate,
  name = NAME,
  concurrency,
  handle,
}: ConsumeOptions): Promise<{ close(): Promise<void> }> {
  const { factory, close, ...connection } = await connectQueue(url, log, migrate);
  const atHand = new Set<Promise<void>>();
  const process = async (job: Job<RotationJob>) => {
    const work = handle(job.data.rotationId);
    atHand.add(work);
    await work.finally(() => atHand.delete(work));
  };
  const options = {
    connection: connection.connection,
    ...(connection.prefix ? { prefix: connection.prefix } : {}),
    concurrency,
    telemetry: telemetry(),
    lockDuration: 10_000,
    stalledInterval: 5_000,
    // After an error, such as a node of a cluster that is gone; BullMQ itself would sit still for 15 s.
    runRetryDelay: 500,
    // Seconds of one blocking look: how late a job is noticed whose signal an error swallowed.
    drainDelay: 2,
    // The ledger decides how often a rotation is tried; BullMQ must not give up on the job of a killed worker.
    maxStalledCount: 1_000_000,
  };
  const worker = factory
    ? new Worker<RotationJob>(name, process, options, factory as never)
    : new Worker<RotationJob>(name, process, options);
  worker.on('error', (error) => log.warn({ err: error }, 'the queue worker has a problem'));
  await worker.waitUntilReady();
  return {
    close: async () => {
      const closed = worker.close();
      await Promise.allSettled(atHand);
      await unlessAway(closed, () => worker.disconnect());
      await close();
    },
  };
}

/** What stands in the way of a queue in PostgreSQL that isn't migrated; anything else as it came. */
function schemaMissing(thrown: unknown): unknown {
  if (!(thrown instanceof SchemaMigrationRequiredError)) return thrown;
  return new RotorError('ledger.schema-older', { what: "the queue's schema is not there", cause: thrown });
}

/** Jobs that could not be reported as done are stalled ones to others: a late job, which changes nothing. */
async function unlessAway(closing: Promise<void>, disconnect: () => Promise<void>): Promise<void> {
  closing.catch(() => undefined);
  await Deadline.after(ANSWER_MS)
    .run('closing the queue', () => closing)
    .catch(() => void disconnect().catch(() => undefined));
}
