import type { Answer, Mode } from '../../ledger/incident-targets.ts';
import type { Match, MatchedBy } from '../../ledger/matching.ts';
import { isDead } from '../../ledger/versions.ts';
import { BUILT_IN, type FittingStep, type Orders, ordersOf } from '../incidents/runbook.ts';
import type { Notification, RunbookStep } from '../incidents/runbook-schema.ts';
import type { Report, Severity } from './report.ts';
import { SEVERITIES } from './report.ts';

/** A report with what was found for it. */
export interface Matched {
  readonly report: Pick<Report, 'about' | 'severity' | 'validity' | 'exposure'>;
  readonly matches: readonly Match[];
}

/** What an incident does about one credential, and why. */
export interface Decision {
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string | undefined;
  readonly matchedBy: readonly MatchedBy[];
  readonly answer: Answer;
  readonly mode: Mode;
  /** An overlap lasts that long at most. */
  readonly revokeInMs: number | undefined;
  readonly notify: readonly Notification[];
  readonly related: 'report' | 'rotate';
  /** Of the runbook that its policy names, those that fit; none for the built-in one. */
  readonly steps: readonly FittingStep[];
}

const RANK: Readonly<Record<Answer, number>> = { watch: 0, prove: 1, rotate: 2 };

/**
 * Revocation is a weapon: a report makes a credential rotate only when its fingerprint proves the leak, or when it names
 * the policy (which only senders do whom the operator has let speak of policies). Names that merely point somewhere are put
 * on record. A version that was revoked long ago needs a proof, not a rotation.
 * @param runbooks steps by the uid of the policy; the built-in ones for those that have none
 */
export function decide(
  all: readonly Matched[],
  runbooks: ReadonlyMap<string, readonly RunbookStep[]> = new Map(),
): readonly Decision[] {
  const byPolicy = new Map<string, Decision>();
  for (const { report, matches } of all) {
    for (const match of matches) {
      const before = byPolicy.get(match.policyUid);
      const answer = answerTo(report, match);
      const runbook = runbooks.get(match.policyUid);
      const orders = ordersOf(runbook ?? BUILT_IN, { ...report, environment: match.environment });
      const wins = before === undefined || RANK[answer] > RANK[before.answer];
      byPolicy.set(match.policyUid, {
        policyUid: match.policyUid,
        policy: match.policy,
        versionId: wins ? leakedOf(report, match) : (before.versionId ?? leakedOf(report, match)),
        matchedBy: [...new Set([...(before?.matchedBy ?? []), match.matchedBy])],
        answer: wins ? answer : before.answer,
        ...soonest(before, speedOf(report, orders)),
        notify: orders.notify.length > 0 ? orders.notify : (before?.notify ?? []),
        related: before?.related === 'rotate' ? 'rotate' : orders.related,
        steps: both(before?.steps ?? [], runbook ? orders.steps : []),
      });
    }
  }
  return [...byPolicy.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1));
}

/** Who merely asks for a rotation says nothing of what is in use. */
function leakedOf({ about }: Matched['report'], { matchedBy, version }: Match): string | undefined {
  return matchedBy === 'policy' && about !== 'leak' ? undefined : version?.id;
}

function both(some: readonly FittingStep[], others: readonly FittingStep[]): readonly FittingStep[] {
  const byPlace = new Map([...some, ...others].map((step) => [step.ordinal, step]));
  return [...byPlace.values()].sort((a, b) => a.ordinal - b.ordinal);
}

type Speed = Pick<Decision, 'mode' | 'revokeInMs'>;

/** What is no leak has no hurry. */
function speedOf({ about }: Matched['report'], { mode, revokeInMs }: Orders): Speed {
  return about === 'leak' ? { mode, revokeInMs } : { mode: 'overlap', revokeInMs: undefined };
}

function soonest(before: Speed | undefined, now: Speed): Speed {
  if (before === undefined || now.mode === 'revoke-first') return now;
  if (before.mode === 'revoke-first' || now.revokeInMs === undefined) return before;
  return { mode: 'overlap', revokeInMs: Math.min(before.revokeInMs ?? now.revokeInMs, now.revokeInMs) };
}

function answerTo({ about }: Matched['report'], { matchedBy, version }: Match): Answer {
  if (about === 'suspicion') return 'watch';
  if (matchedBy === 'fingerprint') return isDead(version?.state) ? 'prove' : 'rotate';
  if (matchedBy === 'policy') return 'rotate';
  // A store or a provider that says it is time means its own path.
  return about === 'rotate' && matchedBy === 'storePath' ? 'rotate' : 'watch';
}

export function worst(reports: readonly { readonly severity: Severity }[]): Severity {
  const ranks = reports.map(({ severity }) => SEVERITIES.indexOf(severity));
  return SEVERITIES[Math.max(0, ...ranks)] ?? 'low';
}
