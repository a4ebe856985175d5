import type { Ledger } from '../../ledger/database.ts';
import type { Policy } from '../../ledger/policies.ts';
import { latestRotations } from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type Due, nextDue, type Peer } from '../schedule/next-due.ts';

/** Gathers what the schedule decides by, and lets it decide. */
export async function dueOf(ledger: Ledger, policy: Policy<PolicySpec>, now: Date): Promise<Due> {
  const { spec, uid: policyUid, namespace } = policy;
  if (!spec.schedule) return nextDue(undefined, { policyUid, now, createdAt: policy.createdAt });
  const names = (spec.apart?.from ?? []).map((name) => `${namespace}/${name}`);
  const latest = await latestRotations(ledger, [`${namespace}/${policy.name}`, ...names]);
  const own = latest.get(`${namespace}/${policy.name}`);
  const peers: Peer[] = names.map((name) => {
    const last = latest.get(name);
    return { name, running: last !== undefined && last.endedAt === undefined, lastEndedAt: last?.endedAt };
  });
  return nextDue(spec.schedule, {
    policyUid,
    now,
    createdAt: policy.changedAt,
    lastRunAt: own?.createdAt,
    rotatedAt: policy.lastRotatedAt,
    suspended: spec.suspend || policy.paused,
    ...(spec.apart ? { apart: { atLeastMs: spec.apart.atLeastMs, peers } } : {}),
  });
}
