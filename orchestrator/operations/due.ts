import type { Ledger } from '../../ledger/database.ts';
import { holderOf } from '../../ledger/incident-targets.ts';
import type { Policy } from '../../ledger/policies.ts';
import { latestRotations } from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type Due, nextDue, type Peer } from '../schedule/next-due.ts';

/** So often one that falls due while an incident holds its credential is looked at again; the end of the incident hurries it. */
const HELD_MS = 60_000;

/** Gathers what the schedule decides by, and lets it decide. */
export async function dueOf(ledger: Ledger, policy: Policy<PolicySpec>, now: Date): Promise<Due> {
  const due = await scheduled(ledger, policy, now);
  if (due.at === undefined) return due;
  const holder = await holderOf(ledger, policy.uid);
  return holder ? heldDue(due, holder.incidentId, now) : due;
}

/** Not while an incident holds the credential: it rotates it itself, and what was missed is run once after its end. Pure. */
export function heldDue(due: Due, incidentId: string, now: Date): Due {
  const at = Math.max(due.at?.getTime() ?? 0, now.getTime() + HELD_MS);
  return { ...due, at: new Date(at), reason: `${due.reason}; not before incident ${incidentId} ends` };
}

async function scheduled(ledger: Ledger, policy: Policy<PolicySpec>, now: Date): Promise<Due> {
  const { spec, uid: policyUid, namespace, requestedAt } = policy;
  if (!spec.schedule && !requestedAt)
    return nextDue(undefined, { policyUid, now, createdAt: policy.createdAt });
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
    requestedAt,
    ...(spec.apart ? { apart: { atLeastMs: spec.apart.atLeastMs, peers } } : {}),
  });
}
