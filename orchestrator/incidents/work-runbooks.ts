import { asRotorError } from '../../core/errors.ts';
import { backoffMs } from '../../core/retry.ts';
import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import { endTarget } from '../../ledger/incident-targets.ts';
import { readJournal } from '../../ledger/journal.ts';
import {
  beginStep,
  endStep,
  holdRunbook,
  openApproval,
  type RunbookStepRow,
  type RunbookTarget,
  retryStep,
  skipSteps,
  stepsOfIncident,
  takeRunbooks,
} from '../../ledger/runbook-steps.ts';
import { lockTarget } from '../../ledger/step-reopening.ts';
import { isDead } from '../../ledger/versions.ts';
import { positionOf } from '../../workers/saga/position.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { isReplaced } from './follow.ts';
import type { EffectKind, Outcome } from './outcome.ts';
import { releaseStep, wakeReleased } from './release.ts';
import { customStep } from './steps/custom.ts';
import { evidenceStep } from './steps/evidence.ts';
import { resolveStep } from './steps/resolve.ts';
import { type Progress, turnOf } from './turn.ts';

const EFFECTS: readonly EffectKind[] = [customStep, evidenceStep, resolveStep];

const BATCH = 100;
/** Renewed while a step is performed, however long that takes: whoever finds a dead one's work goes on after so long. */
const LEASE_MS = 10_000;
/** Somebody looks again at what waits for others after that long. */
const LOOK_MS = 1_000;
const BACKOFF = { baseMs: 1_000, maxMs: 300_000 } as const;
/** When a step is given up; the error stays with it. */
export const MAX_TRIES = 10;

/**
 * Works off what runbooks have to do outside: step after step of each credential, by one process at a time, at least once,
 * repeated under the same id with growing pauses. Whoever comes by goes on where another died.
 */
export async function workRunbooks(orchestrator: Orchestrator, leaseMs: number = LEASE_MS): Promise<void> {
  for (;;) {
    const taken = await takeRunbooks(orchestrator.ledger, leaseMs, BATCH);
    await Promise.all(taken.map((target) => workOff(orchestrator, target, leaseMs)));
    if (taken.length < BATCH) return;
  }
}

async function workOff(orchestrator: Orchestrator, target: RunbookTarget, leaseMs: number): Promise<void> {
  const { ledger, log } = orchestrator;
  let mine = target;
  const hold = async (inMs: number | undefined): Promise<boolean> => {
    const held = await holdRunbook(ledger, mine, inMs);
    if (held !== undefined) mine = { ...mine, hold: held };
    return held !== undefined;
  };
  try {
    for (;;) {
      const steps =
        (await stepsOfIncident(ledger, mine.incidentId, mine.policyUid)).get(mine.policyUid) ?? [];
      const turn = turnOf(steps, await progressOf(ledger, mine, steps));
      switch (turn.do) {
        case 'wait':
          await hold(LOOK_MS);
          return;
        case 'finish':
          await hold(undefined);
          return;
        case 'skip':
          await skipSteps(ledger, mine.incidentId, mine.policyUid, 'the incident failed before');
          break;
        case 'open':
          await openApproval(ledger, turn.step.id, turn.forMs);
          break;
        case 'release':
          await release(orchestrator, mine, steps, turn.step, turn.because);
          break;
        case 'stop':
          await stop(orchestrator, mine, turn.step);
          mine = { ...mine, result: 'failed' };
          break;
        case 'perform': {
          const effect = EFFECTS.find(({ kind }) => kind === turn.step.kind);
          if (!effect || !(await hold(leaseMs))) return;
          await whileHolding(hold, leaseMs, () => perform(orchestrator, mine, turn.step, effect));
          if (!(await hold(leaseMs))) return;
        }
      }
    }
  } catch (thrown) {
    log.warn(
      { err: asRotorError(thrown, 'a runbook'), incident: mine.incidentId, policy: mine.policy },
      'a runbook waits; it goes on a little later',
    );
    await hold(LOOK_MS).catch(() => undefined);
  }
}

/** Renews the hold while something is done. Whoever loses it finishes what cannot be stopped, under the same id. */
async function whileHolding(
  hold: (ms: number) => Promise<boolean>,
  leaseMs: number,
  work: () => Promise<void>,
): Promise<void> {
  let last = Promise.resolve(true);
  const timer = setInterval(() => {
    last = last.then((held) => held && hold(leaseMs).catch(() => true));
  }, leaseMs / 3);
  try {
    await work();
  } finally {
    clearInterval(timer);
    await last;
  }
}

/** How far the answer is. */
async function progressOf(
  ledger: Ledger,
  target: RunbookTarget,
  steps: readonly RunbookStepRow[],
): Promise<Progress> {
  const { result, containedAt, versionId, versionState, rotationId, rotationState } = target;
  const proven =
    result === 'proven' ||
    (target.answer === 'prove' && isDead(versionState)) ||
    (rotationState === 'done' && isReplaced(target));
  const asked = !proven && rotationId !== undefined && steps.some(({ kind }) => PARTS.includes(kind));
  const doneAt = asked ? positionOf(await readJournal(ledger, rotationId)).doneAt : undefined;
  return {
    contained:
      containedAt !== undefined || versionId === undefined || isDead(versionState) || result !== undefined,
    delivered: doneAt?.has('deliver') === true,
    rolledOut: doneAt?.has('rollout') === true,
    proven,
    // What is dead by a person's word is noted only.
    settled: (result === 'proven' || (result === 'noted' && rotationState === 'done')) && target.settled,
    failed: result === 'failed',
  };
}

const PARTS: readonly string[] = ['deliver', 'rollout'];

async function release(
  orchestrator: Orchestrator,
  target: RunbookTarget,
  steps: readonly RunbookStepRow[],
  step: RunbookStepRow,
  because: 'approved' | 'expired',
): Promise<void> {
  const rotation = await orchestrator.ledger.transaction((ledger) =>
    releaseStep(orchestrator, ledger, target, steps, step, because),
  );
  await orchestrator.faults?.reach('runbook:approve:recorded');
  await wakeReleased(orchestrator, target.incidentId, rotation);
}

/** Too few approved in time, and nobody wants it to go on without: the incident has failed, and who is on call is told. */
async function stop(
  { ledger }: Orchestrator,
  { incidentId, policyUid, policy }: RunbookTarget,
  step: RunbookStepRow,
): Promise<void> {
  await ledger.transaction(async (transaction) => {
    const error = 'approval expired';
    if (!(await endStep(transaction, step.id, 'failed', { error }))) return;
    await endTarget(transaction, incidentId, policyUid, 'failed', error);
    await skipSteps(transaction, incidentId, policyUid, error);
    await appendAudit(transaction, {
      actor: 'runbooks',
      action: 'incident.approval-expired',
      subject: `incident/${incidentId}`,
      detail: { policy, step: step.ordinal, approvals: step.approvals.length },
    });
  });
}

async function perform(
  orchestrator: Orchestrator,
  target: RunbookTarget,
  step: RunbookStepRow,
  effect: EffectKind,
): Promise<void> {
  const { ledger, random, clock, log, faults } = orchestrator;
  const { incidentId, policy } = target;
  const begun = await beginStep(ledger, step.id, {
    at: clock.now().toISOString(),
    moment: momentOf(target),
  });
  if (!begun) return;
  await faults?.reach(`runbook:${step.kind}:begun`);
  let outcome: Outcome;
  try {
    outcome = await effect.perform({ orchestrator, target, step, note: begun.note });
  } catch (thrown) {
    const error = asRotorError(thrown, `step ${step.ordinal}, ${step.kind}`);
    const words = `${error.code}: ${error.message}`;
    log.warn({ err: error, incident: incidentId, policy }, 'a step of a runbook failed');
    const inMs = error.retryAfterMs ?? backoffMs(begun.tries, BACKOFF, random.int(1_000) / 1_000);
    if (begun.tries < MAX_TRIES) return retryStep(ledger, step.id, words, inMs);
    outcome = { failed: words };
  }
  await faults?.reach(`runbook:${step.kind}:performed`);
  const state = 'done' in outcome ? 'done' : 'failed';
  await ledger.transaction(async (transaction) => {
    if (effect.missed) {
      // A report that joins right now waits for this to end, and has the step done again.
      await lockTarget(transaction, incidentId, target.policyUid);
      if (await effect.missed(transaction, target, outcome))
        return retryStep(transaction, step.id, 'another report has joined', 0);
    }
    const how = 'done' in outcome ? { result: outcome.done } : { error: outcome.failed };
    if (!(await endStep(transaction, step.id, state, how))) return;
    await appendAudit(transaction, {
      actor: 'runbooks',
      action: `incident.step-${state}`,
      subject: `incident/${incidentId}`,
      detail: { policy, step: step.ordinal, kind: step.kind, ...how },
    });
  });
  await faults?.reach(`runbook:${step.kind}:recorded`);
}

function momentOf({ result, containedAt }: RunbookTarget): string {
  return result ?? (containedAt ? 'contained' : 'opened');
}
