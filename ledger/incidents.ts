import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import type { AttemptOutcome } from './dead-versions.ts';
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

/** A report as it is kept: fingerprints in the place of secrets. */
export type KeptReport = Readonly<Record<string, unknown>>;

export interface IncidentReport {
  readonly source: string;
  readonly deliveryId: string;
  readonly at: Date;
  readonly report: KeptReport;
}

export interface Incident {
  readonly id: string;
  readonly severity: string;
  readonly openedBy: string;
  readonly openedAt: Date;
  readonly endedAt: Date | undefined;
  /** `unread`: the source never said what was found. */
  readonly state: 'open' | 'ended' | 'no-match' | 'unread';
  readonly targets: readonly IncidentTarget[];
  readonly reports: number;
}

/**
 * Remembers a delivery.
 * @returns false when it was taken before
 */
export async function rememberDelivery(ledger: Ledger, source: string, deliveryId: string): Promise<boolean> {
  const rows = await ledger.query(
    `INSERT INTO rotor.hook_deliveries (source, delivery_id) VALUES ($1, $2)
     ON CONFLICT DO NOTHING RETURNING delivery_id`,
    [source, deliveryId],
    'remember-delivery',
  );
  return rows.length === 1;
}

/** Forgets deliveries that are older than any window in which they would be believed. */
export async function forgetDeliveries(ledger: Ledger, olderThanMs: number): Promise<void> {
  await ledger.query(
    `DELETE FROM rotor.hook_deliveries WHERE at < clock_timestamp() - $1 * interval '1 millisecond'`,
    [olderThanMs],
  );
}

export interface NewIncident {
  readonly id: string;
  readonly severity: string;
  readonly openedBy: string;
}

export async function openIncident(ledger: Ledger, { id, severity, openedBy }: NewIncident): Promise<void> {
  await ledger.query(
    'INSERT INTO rotor.incidents (id, severity, opened_by) VALUES ($1, $2, $3)',
    [id, severity, openedBy],
    'open-incident',
  );
}

/** Takes back an incident that turned out to be about nothing new. */
export async function dropIncident(ledger: Ledger, id: string): Promise<void> {
  await ledger.query('DELETE FROM rotor.incidents WHERE id = $1', [id], 'drop-incident');
}

/** Adds reports to an incident, each as it is kept. */
export async function addReports(
  ledger: Ledger,
  incidentId: string,
  source: string,
  deliveryId: string,
  reports: readonly KeptReport[],
): Promise<void> {
  await ledger.query(
    `INSERT INTO rotor.incident_reports (incident_id, source, delivery_id, report)
     SELECT $1, $2, $3, report FROM jsonb_array_elements($4::jsonb) AS report`,
    [incidentId, source, deliveryId, JSON.stringify(reports)],
    'add-reports',
  );
}

/** Puts what is known of a delivery by now in the place of its report. */
export async function completeReport(
  ledger: Ledger,
  incidentId: string,
  deliveryId: string,
  report: KeptReport,
  severity: string,
): Promise<void> {
  await ledger.query(
    `WITH incident AS (UPDATE rotor.incidents SET severity = $4 WHERE id = $1)
     UPDATE rotor.incident_reports SET report = $3 WHERE incident_id = $1 AND delivery_id = $2`,
    [incidentId, deliveryId, JSON.stringify(report), severity],
  );
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
    `UPDATE rotor.incident_targets t SET ended_at = clock_timestamp(), result = $3, reason = $4,
            gather_at = least(t.gather_at, clock_timestamp() + interval '5 minutes')
       FROM rotor.incidents i
      WHERE t.incident_id = $1 AND t.policy_uid = $2 AND t.ended_at IS NULL AND i.id = t.incident_id
     RETURNING t.mode, (
       SELECT extract(epoch FROM least(v.contained_at, v.revoked_at) - i.opened_at)::float8
         FROM rotor.credential_versions v
        WHERE v.id = coalesce(t.version_id, (SELECT r.old_version FROM rotor.rotations r WHERE r.id = t.rotation_id))
          AND least(v.contained_at, v.revoked_at) >= i.opened_at) AS "revokedAfter"`,
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
const HELD = `EXISTS (SELECT FROM rotor.incident_steps s WHERE s.incident_id = t.incident_id AND s.policy_uid = t.policy_uid
              AND s.kind = 'approve' AND s.state = 'waiting'
              AND s.ordinal < (SELECT min(o.ordinal) FROM rotor.incident_steps o WHERE o.incident_id = t.incident_id
                                  AND o.policy_uid = t.policy_uid AND o.kind = 'rotate'))`;

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

/** Ends an incident that has no open target. */
export async function endIncident(ledger: Ledger, incidentId: string): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incidents i SET ended_at = clock_timestamp()
      WHERE id = $1 AND ended_at IS NULL
        AND NOT EXISTS (SELECT FROM rotor.incident_targets t WHERE t.incident_id = i.id AND t.ended_at IS NULL)`,
    [incidentId],
    'end-incident',
  );
}

interface IncidentRow {
  id: string;
  severity: string;
  opened_by: string;
  opened_at: Date;
  ended_at: Date | null;
  reports: number;
  unread: boolean;
  targets: TargetRow[] | null;
}

interface TargetRow {
  policy_uid: string;
  policy: string;
  version_id: string | null;
  matched_by: string[];
  answer: Answer;
  mode: Mode;
  contained_at: string | null;
  rotation_id: string | null;
  ended_at: string | null;
  result: IncidentTarget['result'] | null;
  reason: string | null;
}

const SELECT = `SELECT i.*, (SELECT count(*)::integer FROM rotor.incident_reports r WHERE r.incident_id = i.id) AS reports,
    EXISTS (SELECT FROM rotor.hook_inquiries q WHERE q.incident_id = i.id AND q.ended_at IS NOT NULL AND q.error IS NOT NULL) AS unread,
    (SELECT json_agg(t ORDER BY t.policy) FROM rotor.incident_targets t WHERE t.incident_id = i.id) AS targets
  FROM rotor.incidents i`;

/** Newest first. */
export async function listIncidents(ledger: Ledger, limit = 100): Promise<readonly Incident[]> {
  const rows = await ledger.query<IncidentRow & Record<string, unknown>>(
    `${SELECT} ORDER BY opened_at DESC LIMIT $1`,
    [limit],
  );
  return rows.map(fromRow);
}

/** @throws RotorError `ledger.not-found` */
export async function getIncident(ledger: Ledger, id: string): Promise<Incident> {
  const [row] = await ledger.query<IncidentRow & Record<string, unknown>>(`${SELECT} WHERE i.id = $1`, [id]);
  if (!row) throw new RotorError('ledger.not-found', { what: `there is no incident ${id}` });
  return fromRow(row);
}

/** Its reports, oldest first. */
export async function incidentReports(
  ledger: Ledger,
  id: string,
  limit = 1_000,
): Promise<readonly IncidentReport[]> {
  return ledger.query<IncidentReport & Record<string, unknown>>(
    `SELECT source, delivery_id AS "deliveryId", at, report FROM rotor.incident_reports
      WHERE incident_id = $1 ORDER BY id LIMIT $2`,
    [id, limit],
  );
}

function fromRow(row: IncidentRow): Incident {
  const targets = (row.targets ?? []).map((target) => ({
    policyUid: target.policy_uid,
    policy: target.policy,
    versionId: target.version_id ?? undefined,
    matchedBy: target.matched_by,
    answer: target.answer,
    mode: target.mode,
    containedAt: target.contained_at === null ? undefined : new Date(target.contained_at),
    rotationId: target.rotation_id ?? undefined,
    endedAt: target.ended_at === null ? undefined : new Date(target.ended_at),
    result: target.result ?? undefined,
    reason: target.reason ?? undefined,
  }));
  return {
    id: row.id,
    severity: row.severity,
    openedBy: row.opened_by,
    openedAt: row.opened_at,
    endedAt: row.ended_at ?? undefined,
    state: !row.ended_at ? 'open' : row.unread ? 'unread' : targets.length === 0 ? 'no-match' : 'ended',
    targets,
    reports: row.reports,
  };
}
