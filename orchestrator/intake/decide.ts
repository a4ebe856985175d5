import type { Answer } from '../../ledger/incidents.ts';
import type { Match, MatchedBy } from '../../ledger/matching.ts';
import type { Report, Severity } from './report.ts';
import { SEVERITIES } from './report.ts';

/** A report with what was found for it. */
export interface Matched {
  readonly report: Pick<Report, 'about' | 'severity'>;
  readonly matches: readonly Match[];
}

/** What an incident does about one credential, and why. */
export interface Decision {
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string | undefined;
  readonly matchedBy: readonly MatchedBy[];
  readonly answer: Answer;
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
      });
    }
  }
  return [...byPolicy.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1));
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
