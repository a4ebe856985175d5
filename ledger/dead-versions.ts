import { appendAudit } from './audit.ts';
import type { Ledger } from './database.ts';
import { observe } from './observations.ts';
import { markCompromised } from './versions.ts';

/** A version that was revoked long ago and is reported now: to be tried for real. */
export interface DeadTarget<Spec = unknown> {
  readonly incidentId: string;
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string;
  readonly identity: string;
  readonly revokedAt: Date | null;
  /** Null: it never was in use. */
  readonly currentAt: Date | null;
  readonly fence: bigint;
  /** Of the policy's latest rotation; null when its rows are gone. */
  readonly spec: Spec | null;
  readonly tries: number;
}

/**
 * Takes dead versions that wait for a real attempt, each for `leaseMs`.
 * @param policyUids undefined: of all open incidents
 */
export async function claimDead<Spec>(
  ledger: Ledger,
  leaseMs: number,
  limit: number,
  policyUids?: readonly string[],
): Promise<readonly DeadTarget<Spec>[]> {
  return ledger.query<DeadTarget<Spec> & Record<string, unknown>>(
    `UPDATE rotor.incident_targets t
        SET lease_until = clock_timestamp() + $1 * interval '1 millisecond', attempt_tries = t.attempt_tries + 1
       FROM (SELECT incident_id, policy_uid FROM rotor.incident_targets f
              WHERE ended_at IS NULL AND answer = 'prove' AND version_id IS NOT NULL
                AND ($3::uuid[] IS NULL OR policy_uid = ANY ($3))
                AND (lease_until IS NULL OR lease_until <= clock_timestamp())
                AND NOT EXISTS (SELECT FROM rotor.incident_observations o
                                 WHERE o.incident_id = f.incident_id AND o.policy_uid = f.policy_uid AND o.kind = 'attempt')
              LIMIT $2 FOR UPDATE SKIP LOCKED) AS free
       JOIN rotor.incident_targets f USING (incident_id, policy_uid)
       JOIN rotor.credential_versions v ON v.id = f.version_id
      WHERE t.incident_id = free.incident_id AND t.policy_uid = free.policy_uid
     RETURNING t.incident_id AS "incidentId", t.policy_uid AS "policyUid", t.policy, t.version_id AS "versionId",
               v.identity, v.revoked_at AS "revokedAt", v.current_at AS "currentAt", t.fence, t.attempt_tries AS tries,
               (SELECT r.spec FROM rotor.rotations r WHERE r.policy_uid = t.policy_uid
                 ORDER BY r.created_at DESC LIMIT 1) AS spec`,
    [leaseMs, limit, policyUids ?? null],
    'claim-dead',
  );
}

/** Lets one go whose attempt gave no answer, to be taken again after `againInMs`. */
export async function releaseDead(
  ledger: Ledger,
  { incidentId, policyUid }: DeadTarget,
  againInMs: number,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_targets SET lease_until = clock_timestamp() + $3 * interval '1 millisecond'
      WHERE incident_id = $1 AND policy_uid = $2`,
    [incidentId, policyUid, againInMs],
  );
}

/** `not-tried`: nobody has its value any more. `failed`: the provider could not be asked. */
export type AttemptOutcome = 'refused' | 'accepted' | 'not-tried' | 'failed';

/** Puts on record what a real attempt gave. @param what for people */
export async function recordAttempt(
  ledger: Ledger,
  { incidentId, policyUid, versionId }: DeadTarget,
  outcome: AttemptOutcome,
  what: string,
  actor: string,
): Promise<void> {
  await observe(ledger, incidentId, policyUid, { kind: 'attempt', facts: { outcome, what } });
  await appendAudit(ledger, {
    actor,
    action: `credential.attempt-${outcome}`,
    subject: `credential/${versionId}`,
    detail: { incident: incidentId, what },
  });
}

/**
 * Makes a leak of a dead version that turned out to be alive one that is contained and answered by a rotation. What is current
 * under the same name at the provider can't be accepted any more, so its consumers have nothing to lose either.
 */
export async function reviveTarget(ledger: Ledger, target: DeadTarget): Promise<void> {
  const { incidentId, policyUid, versionId, identity } = target;
  await ledger.query(
    `UPDATE rotor.incident_targets SET answer = 'rotate', mode = 'revoke-first', revoke_by = clock_timestamp()
      WHERE incident_id = $1 AND policy_uid = $2 AND ended_at IS NULL`,
    [incidentId, policyUid],
  );
  const same = await ledger.query<{ id: string }>(
    `SELECT id FROM rotor.credential_versions WHERE policy_uid = $1 AND identity = $2 AND state = 'current'`,
    [policyUid, identity],
  );
  await markCompromised(ledger, [
    { id: versionId, revokeInMs: 0 },
    ...same.map(({ id }) => ({ id, revokeInMs: 0 })),
  ]);
}
