import type { RunbookStepRow } from '../../ledger/runbook-steps.ts';
import { approve } from './runbook-schema.ts';

/** How far the answer to a leak is, as far as later steps of a runbook wait for it. */
export interface Progress {
  /** Refused by the provider, or nothing is left to contain. */
  readonly contained: boolean;
  readonly delivered: boolean;
  readonly rolledOut: boolean;
  /** The leaked one is dead, and proven so. */
  readonly proven: boolean;
  /** Proven, and nothing of the incident is open any more that what is written now could miss. */
  readonly settled: boolean;
  /** Given up: nothing more is done. */
  readonly failed: boolean;
}

export type TurnStep = Pick<
  RunbookStepRow,
  'id' | 'ordinal' | 'kind' | 'spec' | 'state' | 'beganAt' | 'approvals' | 'due' | 'expired'
>;

/** What comes next in a runbook. */
export type RunbookTurn<Step extends TurnStep = TurnStep> =
  | { readonly do: 'wait' }
  /** Nothing is left to do. */
  | { readonly do: 'finish' }
  /** The incident has failed: what is left is left out. */
  | { readonly do: 'skip' }
  /** People may approve from now on. */
  | { readonly do: 'open'; readonly step: Step; readonly forMs: number }
  /** What the approval held up may go on. */
  | { readonly do: 'release'; readonly step: Step; readonly because: 'approved' | 'expired' }
  /** Too few approved in time, and the runbook says that this ends it. */
  | { readonly do: 'stop'; readonly step: Step }
  | { readonly do: 'perform'; readonly step: Step };

/** Steps that are done here; the others are what containment, rotation and notifications do. */
const DONE_HERE: readonly string[] = ['approve', 'custom', 'evidence', 'resolve'];

export function isDoneHere({ kind }: Pick<TurnStep, 'kind'>): boolean {
  return DONE_HERE.includes(kind);
}

/**
 * Decides what comes next: one step after the other, each when those before it have ended. A failed step holds nothing up;
 * an approval doesn't wait for the provider to disable the credential, and nothing waits for notifications.
 */
export function turnOf<Step extends TurnStep>(steps: readonly Step[], progress: Progress): RunbookTurn<Step> {
  const step = steps.find((each) => isDoneHere(each) && each.state === 'waiting');
  if (!step) return { do: 'finish' };
  if (progress.failed) return { do: 'skip' };
  const before = steps.filter(({ ordinal }) => ordinal < step.ordinal);
  // `deliver` and `rollout` say more exactly than `rotate` how far the rotation has to be.
  const exact = before.some(({ kind }) => kind === 'deliver' || kind === 'rollout');
  const counted = before.filter(({ kind }) => !(exact && kind === 'rotate'));
  if (!counted.every((each) => hasEnded(each, step, progress))) return { do: 'wait' };
  if (step.kind === 'approve') return approvalTurn(step);
  if (step.kind === 'resolve' && !progress.proven) return { do: 'wait' };
  if (step.kind === 'evidence') {
    const approvalFollows = steps.some(({ kind, state }) => kind === 'approve' && state === 'waiting');
    if (!(approvalFollows ? progress.proven : progress.settled)) return { do: 'wait' };
  }
  return step.due ? { do: 'perform', step } : { do: 'wait' };
}

function approvalTurn<Step extends TurnStep>(step: Step): RunbookTurn<Step> {
  const { people, expiresAfter, onExpiry } = approve.parse(step.spec);
  if (step.beganAt === undefined) return { do: 'open', step, forMs: expiresAfter };
  if (step.approvals.length >= people) return { do: 'release', step, because: 'approved' };
  if (!step.expired) return { do: 'wait' };
  return onExpiry === 'stop' ? { do: 'stop', step } : { do: 'release', step, because: 'expired' };
}

function hasEnded(step: TurnStep, next: TurnStep, progress: Progress): boolean {
  switch (step.kind) {
    case 'contain':
      return next.kind === 'approve' || progress.contained;
    case 'deliver':
      return progress.delivered || progress.proven;
    case 'rollout':
      return progress.rolledOut || progress.proven;
    case 'rotate':
    case 'prove':
      return progress.proven;
    default:
      return !isDoneHere(step) || step.state !== 'waiting';
  }
}
