import type { Answer, Mode } from '../../ledger/incidents.ts';
import type { Match, MatchedBy } from '../../ledger/matching.ts';
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
}

const RANK: Readonly<Record<Answer, number>> = { watch: 0, prove: 1, rotate: 2 };

/**
 * Revocation is a weapon: a report makes a credential rotate only when its fingerprint proves the leak, or when it names
 * the policy (which only senders do whom the operator has let speak of policies). Names that merely point somewhere are put
 * on record. A version that was revoked long ago needs a proof, not a rotation.
 */
export function decide(all: readonly Matched[]): readonly Decision[] {
  const byPolicy = new Map<string, Decision>();
  for (const { report, matches } of all) {
    for (const match of matches) {
      const before = byPolicy.get(match.policyUid);
      const answer = answerTo(report, match);
      const wins = before === undefined || RANK[answer] > RANK[before.answer];
      byPolicy.set(match.policyUid, {
        policyUid: match.policyUid,
        policy: match.policy,
        versionId: wins ? match.version?.id : (before.versionId ?? match.version?.id),
        matchedBy: [...new Set([...(before?.matchedBy ?? []), match.matchedBy])],
        answer: wins ? answer : before.answer,
        ...soonest(before, modeFor(report)),
      });
    }
  }
  return [...byPolicy.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1));
}

/** An overlap of a leaked credential ends after that long, whoever still uses it. */
const OVERLAP_MS = 15 * 60_000;

type Speed = Pick<Decision, 'mode' | 'revokeInMs'>;

/**
 * As GitHub and OWASP advise, high risk revokes first: the credential is critical, or it is known to work, or anybody can
 * see it. Otherwise consumers get the new one first, within a quarter of an hour. What is no leak has no hurry.
 */
export function modeFor({ about, severity, validity, exposure }: Matched['report']): Speed {
  if (about !== 'leak') return { mode: 'overlap', revokeInMs: undefined };
  const risky =
    severity === 'critical' || (severity === 'high' && (validity === 'active' || exposure === 'public'));
  return risky ? { mode: 'revoke-first', revokeInMs: 0 } : { mode: 'overlap', revokeInMs: OVERLAP_MS };
}

function soonest(before: Speed | undefined, now: Speed): Speed {
  if (before === undefined || now.mode === 'revoke-first') return now;
  if (before.mode === 'revoke-first' || now.revokeInMs === undefined) return before;
  return { mode: 'overlap', revokeInMs: Math.min(before.revokeInMs ?? now.revokeInMs, now.revokeInMs) };
}

function answerTo({ about }: Matched['report'], { matchedBy, version }: Match): Answer {
  if (about === 'suspicion') return 'watch';
  const dead = version?.state === 'revoked' || version?.state === 'discarded';
  if (matchedBy === 'fingerprint') return dead ? 'prove' : 'rotate';
  if (matchedBy === 'policy') return 'rotate';
  // A store or a provider that says it is time means its own path.
  return about === 'rotate' && matchedBy === 'storePath' ? 'rotate' : 'watch';
}

export function worst(reports: readonly { readonly severity: Severity }[]): Severity {
  const ranks = reports.map(({ severity }) => SEVERITIES.indexOf(severity));
  return SEVERITIES[Math.max(0, ...ranks)] ?? 'low';
}
