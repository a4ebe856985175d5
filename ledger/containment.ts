import type { Ledger } from './database.ts';
import type { Mode } from './incident-targets.ts';

/** A leaked version that the provider must refuse before anything else. */
export interface Containment<Spec = unknown> {
  readonly incidentId: string;
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string;
  /** The rotation that answers; undefined while it waits for an approval. */
  readonly rotationId: string | undefined;
  readonly fence: bigint;
  /** Of the rotation that answers, or will. */
  readonly spec: Spec;
}

const DUE = `contained_at IS NULL AND answer = 'rotate' AND (ended_at IS NULL OR reason = 'approval expired')
                AND (ended_at IS NULL OR ended_at > clock_timestamp() - interval '31 days')
                AND (mode = 'revoke-first' OR revoke_by <= clock_timestamp())
                AND version_id IS NOT NULL AND (rotation_id IS NOT NULL OR spec IS NOT NULL)
                AND ($1::uuid IS NULL OR incident_id = $1)
                AND (lease_until IS NULL OR lease_until <= clock_timestamp())`;
const PROVIDER = `coalesce((SELECT r.provider FROM rotor.rotations r WHERE r.id = rotation_id), '')`;

/**
 * The providers of containments that are due and nobody is at: `namespace/name`, empty for what has none.
 * @param incidentId undefined: of all incidents
 */
export async function providersToContain(
  ledger: Ledger,
  incidentId: string | undefined,
): Promise<readonly string[]> {
  const rows = await ledger.query<{ provider: string }>(
    `SELECT DISTINCT ${PROVIDER} AS provider FROM rotor.incident_targets WHERE ${DUE}`,
    [incidentId ?? null],
    'providers-to-contain',
  );
  return rows.map(({ provider }) => provider);
}

/**
 * Takes the containments of an incident at one provider that are due and nobody is at, each for `leaseMs`: those that are to
 * be revoked first, and those whose overlap has lasted long enough; also where the incident ended because nobody approved what
 * comes after.
 * @param incidentId undefined: of all incidents
 */
export async function claimContainments<Spec>(
  ledger: Ledger,
  incidentId: string | undefined,
  provider: string,
  leaseMs: number,
  limit: number,
): Promise<readonly Containment<Spec>[]> {
  const rows = await ledger.query<
    Omit<Containment<Spec>, 'rotationId'> & { rotationId: string | null } & Record<string, unknown>
  >(
    `UPDATE rotor.incident_targets t SET lease_until = clock_timestamp() + $2 * interval '1 millisecond'
       FROM (SELECT incident_id, policy_uid FROM rotor.incident_targets
              WHERE ${DUE} AND ${PROVIDER} = $4
              LIMIT $3 FOR UPDATE SKIP LOCKED) AS free
       JOIN rotor.incident_targets f USING (incident_id, policy_uid)
       LEFT JOIN rotor.rotations r ON r.id = f.rotation_id
      WHERE t.incident_id = free.incident_id AND t.policy_uid = free.policy_uid
     RETURNING t.incident_id AS "incidentId", t.policy_uid AS "policyUid", t.policy, t.version_id AS "versionId",
               t.rotation_id AS "rotationId", t.fence, coalesce(r.spec, t.spec) AS spec`,
    [incidentId ?? null, leaseMs, limit, provider],
    'claim-containments',
  );
  return rows.map((row) => ({ ...row, rotationId: row.rotationId ?? undefined }));
}

/**
 * Records that the provider refuses the leaked version: for the incident, for the version, and for the rotation, which
 * needn't wait for anybody any more.
 * @param which `again`: somebody had brought a dead version back, so that the last time counts
 * @returns seconds since the report was committed; undefined when it was recorded before
 */
export async function recordContained(
  ledger: Ledger,
  {
    incidentId,
    policyUid,
    versionId,
    rotationId,
  }: Pick<Containment, 'incidentId' | 'policyUid' | 'versionId'> & Partial<Pick<Containment, 'rotationId'>>,
  actor: string,
  which: 'first' | 'again' = 'first',
): Promise<{ readonly mode: Mode; readonly seconds: number } | undefined> {
  const [recorded] = await ledger.query<{ mode: Mode; seconds: number }>(
    `WITH target AS (
       UPDATE rotor.incident_targets SET contained_at = clock_timestamp(), lease_until = NULL
        WHERE incident_id = $1 AND policy_uid = $2 AND version_id = $3 AND contained_at IS NULL
       RETURNING incident_id, mode, contained_at),
     version AS (
       UPDATE rotor.credential_versions SET contained_at = CASE WHEN $6 THEN clock_timestamp() ELSE coalesce(contained_at, clock_timestamp()) END
        WHERE id = $3),
     woken AS (
       UPDATE rotor.rotations SET wake_at = NULL WHERE id = $4 AND state = 'waiting'),
     audited AS (
       INSERT INTO rotor.audit (actor, action, subject, detail)
       SELECT $5, 'credential.contained', 'credential/' || $3, jsonb_build_object('incident', incident_id) FROM target)
     SELECT t.mode, extract(epoch FROM t.contained_at - i.opened_at)::float8 AS seconds
       FROM target t JOIN rotor.incidents i ON i.id = t.incident_id`,
    [incidentId, policyUid, versionId, rotationId ?? null, actor, which === 'again'],
    'record-contained',
  );
  return recorded;
}

/** Lets a containment that failed go, so that it is tried again at once. */
export async function releaseContainment(
  ledger: Ledger,
  { incidentId, policyUid }: Containment,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_targets SET lease_until = clock_timestamp() + interval '500 milliseconds'
      WHERE incident_id = $1 AND policy_uid = $2 AND contained_at IS NULL`,
    [incidentId, policyUid],
    'release-containment',
  );
}
