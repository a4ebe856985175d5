import type { RotorError } from '../../core/errors.ts';
import { backoffMs } from '../../core/retry.ts';
import type { StepName } from './steps.ts';

/** What the saga knows when a step fails. */
export interface Situation {
  readonly direction: 'forward' | 'back';
  readonly step: StepName;
  /** Failed attempts of this step, this one included. */
  readonly failures: number;
  /** How many credentials this rotation has made so far. */
  readonly generations: number;
  /** Nothing of the old credential has been killed yet. */
  readonly mayTurnBack: boolean;
  /** The old credential has leaked, or the provider has replaced it for good: nothing may go back to it. */
  readonly noWayBack: boolean;
  /** The pending credential may be the only one that works: no other may take its place. */
  readonly keepsPending: boolean;
  readonly overdue: boolean;
  readonly cancelled: boolean;
  /** In [0, 1). */
  readonly random: number;
}

export type Answer =
  /** Another worker holds the rotation, or our lease is over: touch nothing more. */
  | { readonly do: 'let-go' }
  /** The same step again; what happened is probed first when in doubt. */
  | { readonly do: 'retry'; readonly inMs: number; readonly inDoubt: boolean }
  /** The provider refused this secret for good: make another one. */
  | { readonly do: 'regenerate' }
  | { readonly do: 'turn-back' }
  | { readonly do: 'ask-human' };

/** Attempts of one step before the saga changes its mind about it. */
const ATTEMPTS = { beforeRevoke: 6, bugBeforeRevoke: 2, fromRevokeOn: 12, back: 12, generations: 3 } as const;
const BACKOFF = { baseMs: 200, maxMs: 30_000 } as const;

/** Decides how the saga goes on after a step failed. */
export function answerTo(error: RotorError, situation: Situation): Answer {
  if (['ledger.fenced', 'lease.expired', 'store.fenced'].includes(error.code)) return { do: 'let-go' };

  const inMs = error.retryAfterMs ?? backoffMs(situation.failures, BACKOFF, situation.random);
  const retry: Answer = { do: 'retry', inMs, inDoubt: error.kind === 'ambiguous' };
  const worthRepeating = error.kind !== 'terminal';

  if (situation.direction === 'back' || !situation.mayTurnBack) {
    const most = situation.direction === 'back' ? ATTEMPTS.back : ATTEMPTS.fromRevokeOn;
    return worthRepeating && situation.failures < most ? retry : { do: 'ask-human' };
  }
  if (error.code === 'rotation.needs-human') return { do: 'ask-human' };
  if (situation.overdue || situation.cancelled) return instead(situation, retry, false);
  // Taken back first it is surely not in force; where nothing may go back, it isn't taken back.
  const mayReplace = mayRegenerate(situation.noWayBack ? situation : { ...situation, keepsPending: false });
  if (error.code === 'provider.rejects-generated' && mayReplace) return { do: 'regenerate' };
  // A mistake of ours happens again and again: once more, since nobody knows what was done, and then back.
  const most = error.code === 'internal.bug' ? ATTEMPTS.bugBeforeRevoke : ATTEMPTS.beforeRevoke;
  return worthRepeating && situation.failures < most ? retry : instead(situation, retry, worthRepeating);
}

/** Steps after which no consumer has seen the new credential yet, so that another may take its place. */
const BEFORE_CONSUMERS: ReadonlySet<StepName> = new Set(['generate', 'install', 'verify']);

/**
 * What comes after giving up on a step: the way back, unless nothing may go back to the old credential. Then it is only
 * forward: to a fresh credential while nobody holds this one, else with this one for longer, else a human decides.
 */
function instead(situation: Situation, retry: Answer, worthRepeating: boolean): Answer {
  const { noWayBack, overdue, cancelled, step, failures } = situation;
  if (!noWayBack) return { do: 'turn-back' };
  if (overdue || cancelled) return { do: 'ask-human' };
  if (BEFORE_CONSUMERS.has(step) && mayRegenerate(situation)) return { do: 'regenerate' };
  return worthRepeating && failures < ATTEMPTS.fromRevokeOn ? retry : { do: 'ask-human' };
}

function mayRegenerate({ generations, keepsPending }: Situation): boolean {
  return generations < ATTEMPTS.generations && !keepsPending;
}

const UNDONE_BY_NOTHING: ReadonlySet<StepName> = new Set(['plan', 'verify', 'settle', 'revoke', 'prove']);

/**
 * The order in which touched steps are undone: backwards, and before the provider refuses the new credential again,
 * `settle` waits until nobody uses it. Where the old secret was replaced in place, the provider goes first:
 * consumers can only be moved back to a credential that is accepted again.
 */
export function undoOrder(touched: readonly StepName[], overlap: string): readonly StepName[] {
  const backwards = [...touched].reverse().filter((step) => !UNDONE_BY_NOTHING.has(step));
  if (!touched.includes('install')) return backwards;
  const others = backwards.filter((step) => step !== 'install' && step !== 'generate');
  if (overlap === 'none') return ['install', ...others, 'generate'];
  return [...others, ...(touched.includes('deliver') ? (['settle'] as const) : []), 'install', 'generate'];
}
