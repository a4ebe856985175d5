import { type Logger as CronLogger, type ScheduledTask, schedule } from 'node-cron';
import type { Clock } from '../../core/clock.ts';
import { asRotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { dueLag } from '../../core/telemetry.ts';
import type { Ledger } from '../../ledger/database.ts';
import { watchDrift } from '../../ledger/drift.ts';
import {
  dueLagSeconds,
  lockDuePolicies,
  type Policy,
  setDue,
  takePoliciesToReplan,
} from '../../ledger/policies.ts';
import type { Due } from '../schedule/next-due.ts';

export interface SchedulerOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  /** When a policy is due next, by its schedule and what has happened so far. */
  readonly nextDue: (ledger: Ledger, policy: Policy) => Promise<Due>;
  /** Creates a rotation in the transaction `ledger`. @returns its id, undefined when one is open already */
  readonly start: (ledger: Ledger, policy: Policy) => Promise<string | undefined>;
  readonly wake: (rotationId: string) => Promise<void>;
  /** Told of policies that are new, changed or just rotated, in the transaction `ledger`. */
  readonly planned?: (ledger: Ledger, policies: readonly Policy[]) => Promise<void>;
  /** Kinds of stores whose form of a version ages. */
  readonly renewing?: readonly string[];
}

const BATCH = 100;

/**
 * One look at the due index: policies whose plan changed get a new place in it, due ones get a rotation and their
 * next place. Several schedulers share the work, since rows in hand are skipped by the others. The cost grows with
 * what is due or changed, not with how many policies there are.
 * @returns how many rotations were started
 */
export async function tick(options: SchedulerOptions): Promise<number> {
  while ((await replan(options)) === BATCH);
  let started = 0;
  for (;;) {
    const batch = await startDue(options);
    for (const id of batch.started) await options.wake(id);
    started += batch.started.length;
    if (batch.looked < BATCH) return started;
  }
}

async function replan(options: SchedulerOptions): Promise<number> {
  return options.ledger.transaction(async (transaction) => {
    const policies = await takePoliciesToReplan(transaction, BATCH);
    for (const policy of policies) await place(options, transaction, policy);
    await watchDrift(
      transaction,
      policies.map(({ uid }) => uid),
      options.renewing,
    );
    await options.planned?.(transaction, policies);
    return policies.length;
  });
}

/** A policy that can't be planned (its spec is from a newer Rotor, its provider is gone) must not hold up the others. */
async function place({ nextDue, log }: SchedulerOptions, transaction: Ledger, policy: Policy): Promise<void> {
  try {
    const due = await nextDue(transaction, policy);
    await setDue(transaction, policy.uid, due.at, due.reason);
  } catch (thrown) {
    const error = asRotorError(thrown, 'planning a policy');
    if (error.code.startsWith('ledger.unavailable')) throw error;
    log.error({ err: error, policy: `${policy.namespace}/${policy.name}` }, 'the policy cannot be planned');
    await setDue(transaction, policy.uid, undefined, `cannot be planned: ${error.message}`);
  }
}

async function startDue(options: SchedulerOptions): Promise<{ looked: number; started: string[] }> {
  const { ledger, clock, start, log } = options;
  return ledger.transaction(async (transaction) => {
    const policies = await lockDuePolicies(transaction, clock.now(), BATCH);
    const started: string[] = [];
    for (const policy of policies) {
      const name = `${policy.namespace}/${policy.name}`;
      try {
        const id = await start(transaction, policy);
        if (id) started.push(id);
        else
          log.warn(
            { policy: name },
            'due, but its last rotation is still open, or an incident holds its credential',
          );
      } catch (thrown) {
        const error = asRotorError(thrown, 'starting a rotation');
        if (error.code === 'ledger.unavailable') throw error;
        log.error({ err: error, policy: name }, 'due, but its rotation cannot be started');
      }
      // Counted from now: occurrences that were missed while nothing ran are one run, this one.
      // What events asked for is dealt with, too: another look at a policy that can't be started would be one each second.
      await place(options, transaction, { ...policy, requestedAt: undefined });
    }
    return { looked: policies.length, started };
  });
}

export interface Scheduler {
  stop(): Promise<void>;
}

/** Ticks every second by node-cron; a tick that takes longer is not run twice at once. */
export async function startScheduler(options: SchedulerOptions): Promise<Scheduler> {
  let running: Promise<unknown> = Promise.resolve();
  const run = async () => {
    try {
      const started = await tick(options);
      if (started > 0) options.log.info({ started }, 'rotations are due');
      dueLag().record(await dueLagSeconds(options.ledger, options.clock.now()));
    } catch (thrown) {
      options.log.warn(
        { err: asRotorError(thrown, 'a tick of the scheduler') },
        'the tick failed; the next one repeats it',
      );
    }
  };
  const task: ScheduledTask = schedule(
    '* * * * * *',
    () => {
      running = run();
      return running;
    },
    { name: 'rotor-due', noOverlap: true, suppressMissedWarning: true, logger: cronLog(options.log) },
  );
  return {
    stop: async () => {
      await task.stop();
      await running;
      await task.destroy();
    },
  };
}

/** node-cron's own remarks (a tick was skipped since the last one still ran) are of interest when debugging only. */
function cronLog(log: Logger): CronLogger {
  const debug = (message: string | Error) => log.debug({ cron: String(message) }, 'node-cron');
  return { info: debug, warn: debug, error: debug, debug };
}
