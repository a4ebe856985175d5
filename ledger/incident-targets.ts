import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import type { AttemptOutcome } from './dead-versions.ts';
import { endIncident } from './incidents.ts';
import type { RotationState } from './rotations.ts';
import type { VersionState } from './versions.ts';

/** Which comes first: the end of the leaked one, or a new one in the hands of its consumers. */
export type Mode = 'revoke-first' | 'overlap';

/** What is done about one credential: a rotation, a proof that it is dead already, or nothing but a note. */
export type Answer = 'rotate' | 'prove' | 'watch';

export interface IncidentTarget {
  readonly policyUid: string;
  /** `namespace/name` */
  readonly policy: string;
  readonly versionId: string | undefined;
  readonly matchedBy: readonly string[];
  readonly answer: Answer;
  readonly mode: Mode;
  readonly containedAt: Date | undefined;
  readonly rotationId: string | undefined;
  readonly endedAt: Date | undefined;
  readonly result: 'proven' | 'failed' | 'noted' | undefined;
  /** Why it failed, where there is more to say than that. */
  readonly reason: string | undefined;
}

export type NewTarget = Pick<
  IncidentTarget,
  'policyUid' | 'policy' | 'versionId' | 'matchedBy' | 'answer' | 'mode'
> & {
  /** An overlap lasts that long at most. */
  readonly revokeInMs: number | undefined;
};

/**
 * Makes credentials targets of the incident, but for those that an open incident has already: there the report joins it.
 * @returns the incidents that have them now
 */
export async function addTargets(
  ledger: Ledger,
  incidentId: string,
  targets: readonly NewTarget[],
): Promise<readonly string[]> {
  const added = await ledger.query<{ policy_uid: string }>(
    `INSERT INTO rotor.incident_targets (incident_id, policy_uid, policy, version_id, matched_by, answer, mode, revoke_by)
     SELECT $1, t."policyUid", t.policy, t."versionId", ARRAY(SELECT jsonb_array_elements_text(t."matchedBy")), t.answer, t.mode,
            clock_timestamp() + t."revokeInMs" * interval '1 millisecond'
       FROM jsonb_to_recordset($2::jsonb) AS t ("policyUid" uuid, policy text, "versionId" uuid, "matchedBy" jsonb,
                                                answer text, mode text, "revokeInMs" double precision)
     ON CONFLICT DO NOTHING RETURNING policy_uid`,
    [incidentId, JSON.stringify(targets)],
    'add-targets',
  );
  const fresh = new Set(added.map(({ policy_uid }) => policy_uid));
  const having = new Set(fresh.size > 0 ? [incidentId] : []);
  for (const target of targets) {
    if (!fresh.has(target.policyUid)) having.add(await joinTarget(ledger, target));
  }
  return [...having];
}

/**
 * The version that is reported now is the successor of the one that was: it leaked too. It is not contained yet, and those
 * who put it in place hold later tokens.
 */
const NEWER = `(SELECT n.created_at > o.created_at FROM rotor.credential_versions n, rotor.credential_versions o
                 WHERE n.id = $2 AND o.id = version_id)`;

/** A report that proves a leak makes more of a mere suspicion. */
async function joinTarget(ledger: Ledger, target: NewTarget): Promise<string> {
  const [open] = await ledger.query<{ incident_id: string }>(
    `UPDATE rotor.incident_targets
        SET version_id = CASE WHEN version_id IS NULL OR ${NEWER} THEN coalesce($2, version_id) ELSE version_id END,
            contained_at = CASE WHEN ${NEWER} THEN NULL ELSE contained_at END,
            fence = CASE WHEN ${NEWER} THEN nextval('rotor.fence') ELSE fence END,
            matched_by = (SELECT array_agg(DISTINCT each) FROM unnest(matched_by || $3) AS each),
            answer = CASE WHEN 'rotate' IN (answer, $4) THEN 'rotate' WHEN 'prove' IN (answer, $4) THEN 'prove' ELSE answer END,
            mode = CASE WHEN 'revoke-first' IN (mode, $5) THEN 'revoke-first' ELSE mode END,
            revoke_by = least(revoke_by, clock_timestamp() + $6 * interval '1 millisecond')
      WHERE policy_uid = $1 AND ended_at IS NULL RETURNING incident_id`,
    [
      target.policyUid,
      target.versionId ?? null,
      target.matchedBy,
      target.answer,
      target.mode,
      target.revokeInMs ?? null,
    ],
    'join-target',
  );
  if (open) return open.incident_id;
  throw new RotorError('ledger.conflict', {
    what: `policy ${target.policy}: its incident just ended`,
    kind: 'retryable',
  });
}

/** Keeps by what a target is contained while its rotation waits for an approval. */
export async function keepTargetSpec(ledger: Ledger, policyUid: string, spec: unknown): Promise<void> {
  await ledger.query(
    'UPDATE rotor.incident_targets SET spec = $2 WHERE policy_uid = $1 AND ended_at IS NULL',
    [policyUid, JSON.stringify(spec)],
    'target-spec',
  );
}

/**
 * Lets a containment begin that an approval held up; what is due sooner already stays so.
 * @param revokeInMs undefined: it ends with the rotation
 */
export async function releaseTarget(
  ledger: Ledger,
  incidentId: string,
  policyUid: string,
  { mode, revokeInMs }: Pick<NewTarget, 'mode' | 'revokeInMs'>,
): Promise<void> {
  await ledger.query(
    `WITH target AS (
       UPDATE rotor.incident_targets
          SET mode = CASE WHEN 'revoke-first' IN (mode, $3) THEN 'revoke-first' ELSE mode END,
              revoke_by = least(revoke_by, clock_timestamp() + $4::float8 * interval '1 millisecond')
        WHERE incident_id = $1 AND policy_uid = $2 AND ended_at IS NULL RETURNING version_id)
     UPDATE rotor.credential_versions v
        SET revoke_by = least(v.revoke_by, clock_timestamp() + $4::float8 * interval '1 millisecond')
       FROM target WHERE v.id = target.version_id`,
    [incidentId, policyUid, mode, revokeInMs ?? null],
    'release-target',
  );
}

/** The rotation that answers for a credential of an open incident. */
export async function setTargetRotation(
  ledger: Ledger,
  policyUid: string,
  rotationId: string,
): Promise<void> {
  await ledger.query(
    'UPDATE rotor.incident_targets SET rotation_id = $2 WHERE policy_uid = $1 AND ended_at IS NULL',
    [policyUid, rotationId],
    'target-rotation',
  );
}

/** The same for many: each rotation answers for the credential of its policy. */
export async function setTargetRotations(ledger: Ledger, rotationIds: readonly string[]): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_targets t SET rotation_id = r.id
       FROM rotor.rotations r WHERE r.id = ANY ($1) AND t.policy_uid = r.policy_uid AND t.ended_at IS NULL`,
    [rotationIds],
    'target-rotations',
  );
}

/** What was measured of a credential whose incident ends. */
export interface EndedTarget {
  readonly mode: Mode;
  /** Seconds from the commit of the report until the provider refused the leaked version; null: not since the report. */
  readonly revokedAfter: number | null;
}

/** @returns undefined when somebody else has ended it */
export async function endTarget(
  ledger: Ledger,
  incidentId: string,
  policyUid: string,
  result: 'proven' | 'failed' | 'noted',
  reason?: string,
): Promise<EndedTarget | undefined> {
  const [ended] = await ledger.query<EndedTarget & Record<string, unknown>>(
    `WITH ended AS (
     UPDATE rotor.incident_targets t SET ended_at = clock_timestamp(), result = $3, reason = $4,
            gather_at = least(t.gather_at, clock_timestamp() + interval '5 minutes')
       FROM rotor.incidents i
      WHERE t.incident_id = $1 AND t.policy_uid = $2 AND t.ended_at IS NULL AND i.id = t.incident_id
     RETURNING t.mode, (
       SELECT extract(epoch FROM least(v.contained_at, v.revoked_at) - i.opened_at)::float8
         FROM rotor.credential_versions v
        WHERE v.id = coalesce(t.version_id, (SELECT r.old_version FROM rotor.rotations r WHERE r.id = t.rotation_id))
          AND least(v.contained_at, v.revoked_at) >= i.opened_at) AS "revokedAfter"),
     -- What its schedule has put off meanwhile.
     replanned AS (INSERT INTO rotor.replans SELECT $2::uuid FROM ended ON CONFLICT DO NOTHING)
     SELECT * FROM ended`,
    [incidentId, policyUid, result, reason ?? null],
    'end-target',
  );
  await endIncident(ledger, incidentId);
  return ended;
}

export interface OpenTarget {
  readonly incidentId: string;
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string | undefined;
  readonly versionState: VersionState | undefined;
  readonly answer: Answer;
  /** What a real attempt with a dead version gave; undefined: not yet tried. */
  readonly attempt: AttemptOutcome | undefined;
  readonly rotationId: string | undefined;
  readonly rotationState: RotationState | undefined;
  readonly rotationNewVersion: string | undefined;
  /** Rotations that answered for it so far. */
  readonly tries: number;
  /** Seconds since the last of them ended, by the database's clock. */
  readonly idleSeconds: number;
  /** An approval holds up its rotation. */
  readonly held: boolean;
  /** What it is contained by meanwhile is kept. */
  readonly kept: boolean;
  /** An approval of its runbook is still waited for, wherever it stands. */
  readonly unapproved: boolean;
}

const UNAPPROVED = `EXISTS (SELECT FROM rotor.incident_steps s WHERE s.incident_id = t.incident_id AND s.policy_uid = t.policy_uid
              AND s.kind = 'approve' AND s.state = 'waiting')`;
/** An approval of target `t` is waited for that comes before its rotation. */
const HELD = `EXISTS (SELECT FROM rotor.incident_steps s WHERE s.incident_id = t.incident_id AND s.policy_uid = t.policy_uid
              AND s.kind = 'approve' AND s.state = 'waiting'
              AND s.ordinal < (SELECT min(o.ordinal) FROM rotor.incident_steps o WHERE o.incident_id = t.incident_id
                                  AND o.policy_uid = t.policy_uid AND o.kind = 'rotate'))`;

/**
 * Whether an open incident holds the credential of policy `p`, so that it rotates only as the incident has it. A person may be
 * ahead of the incident, but not of those who have to approve it.
 * @param trigger SQL of why it is to be rotated
 */
export const heldBack = (trigger: string) =>
  `(${trigger} <> 'incident' AND EXISTS (SELECT FROM rotor.incident_targets t
     WHERE t.policy_uid = p.uid AND t.ended_at IS NULL AND t.answer = 'rotate' AND (${trigger} <> 'manual' OR ${HELD})))`;

/** The open incident that holds the credential of a policy, and the rotation that answers in it. */
export async function holderOf(
  ledger: Ledger,
  policyUid: string,
): Promise<
  { readonly incidentId: string; readonly rotationId: string | null; readonly held: boolean } | undefined
> {
  const [row] = await ledger.query<{ incidentId: string; rotationId: string | null; held: boolean }>(
    `SELECT t.incident_id AS "incidentId", t.rotation_id AS "rotationId", ${HELD} AS held FROM rotor.incident_targets t
      WHERE t.policy_uid = $1 AND t.ended_at IS NULL AND t.answer = 'rotate'`,
    [policyUid],
    'incident-that-holds',
  );
  return row;
}

/** Targets whose rotation has ended, or that have none and don't wait for people. */
export async function openTargets(ledger: Ledger, limit: number): Promise<readonly OpenTarget[]> {
  const rows = await ledger.query<{ [K in keyof OpenTarget]: NonNullable<OpenTarget[K]> | null }>(
    `SELECT t.incident_id AS "incidentId", t.policy_uid AS "policyUid", t.policy, t.version_id AS "versionId",
            v.state AS "versionState", t.answer, t.rotation_id AS "rotationId", r.state AS "rotationState",
            (SELECT o.facts ->> 'outcome' FROM rotor.incident_observations o
              WHERE o.incident_id = t.incident_id AND o.policy_uid = t.policy_uid AND o.kind = 'attempt') AS attempt,
            r.new_version AS "rotationNewVersion",
            coalesce(extract(epoch FROM clock_timestamp() - r.ended_at), 0)::float8 AS "idleSeconds",
            (SELECT count(*)::integer FROM rotor.rotations a
              WHERE a.policy_uid = t.policy_uid AND a.trigger = 'incident' AND a.created_at >= i.opened_at) AS tries,
            t.spec IS NOT NULL AS kept, ${UNAPPROVED} AS unapproved, ${HELD} AS held
       FROM rotor.incident_targets t
       JOIN rotor.incidents i ON i.id = t.incident_id
       LEFT JOIN rotor.credential_versions v ON v.id = t.version_id
       LEFT JOIN rotor.rotations r ON r.id = t.rotation_id
      WHERE t.ended_at IS NULL
        AND (r.id IS NULL OR r.state IN ('done', 'rolled-back'))
        AND NOT (r.id IS NULL AND t.answer = 'rotate' AND t.spec IS NOT NULL AND ${HELD})
      -- Those that wait for people must not keep the others from being looked at.
      ORDER BY random() LIMIT $1`,
    [limit],
    'open-targets',
  );
  return rows.map((row) => ({
    ...(row as OpenTarget),
    versionId: row.versionId ?? undefined,
    versionState: row.versionState ?? undefined,
    attempt: row.attempt ?? undefined,
    rotationId: row.rotationId ?? undefined,
    rotationState: row.rotationState ?? undefined,
    rotationNewVersion: row.rotationNewVersion ?? undefined,
  }));
}
