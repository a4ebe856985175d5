import type { Ledger } from '../../ledger/database.ts';
import { type Match, relatedPolicies } from '../../ledger/matching.ts';
import { listResources } from '../../ledger/resources.ts';
import type { FittingStep } from '../incidents/runbook.ts';
import { type RunbookStep, related } from '../incidents/runbook-schema.ts';
import type { Decision } from './decide.ts';

/** The steps of the runbooks that the matched policies name, by the uid of the policy. */
export async function runbooksOf(
  ledger: Ledger,
  matches: readonly Match[],
): Promise<ReadonlyMap<string, readonly RunbookStep[]>> {
  const found = new Map<string, readonly RunbookStep[]>();
  if (matches.every(({ runbook }) => runbook === undefined)) return found;
  const all = await listResources(ledger, 'Runbook');
  const byName = new Map(all.map(({ namespace, name, spec }) => [`${namespace}/${name}`, spec]));
  for (const { policyUid, runbook } of matches) {
    const spec = runbook === undefined ? undefined : byName.get(runbook);
    if (spec) found.set(policyUid, (spec as { steps: readonly RunbookStep[] }).steps);
  }
  return found;
}

/** What holds up the step that rotates the others holds up each of them. */
function heldLike(steps: readonly FittingStep[]): readonly FittingStep[] {
  const place = steps.find(
    ({ kind, spec }) => kind === 'related' && related.parse(spec).policies === 'rotate',
  )?.ordinal;
  if (place === undefined) return [];
  const approvals = steps.filter(({ kind, ordinal }) => kind === 'approve' && ordinal < place);
  return approvals.length === 0 ? [] : [...approvals, { ordinal: place, kind: 'rotate', spec: {} }];
}

/** Where a runbook says so, what shares something with a leaked credential is rotated too, consumers first. */
export async function withRelated(
  ledger: Ledger,
  decisions: readonly Decision[],
): Promise<readonly Decision[]> {
  const all = new Map(decisions.map((decision) => [decision.policyUid, decision]));
  for (const { policyUid, related: others, answer, notify, steps } of decisions) {
    if (others !== 'rotate' || answer !== 'rotate') continue;
    for (const other of await relatedPolicies(ledger, policyUid)) {
      const known = all.get(other.uid);
      if (known && known.answer !== 'watch') continue;
      all.set(other.uid, {
        policyUid: other.uid,
        policy: other.policy,
        versionId: undefined,
        matchedBy: ['related'],
        answer: 'rotate',
        mode: 'overlap',
        revokeInMs: undefined,
        notify,
        related: 'report',
        steps: heldLike(steps),
      });
    }
  }
  return [...all.values()];
}
