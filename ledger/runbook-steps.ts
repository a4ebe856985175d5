import type { Ledger } from './database.ts';
import type { Answer, Mode } from './incident-targets.ts';
import type { RotationState } from './rotations.ts';
import type { VersionState } from './versions.ts';

export type StepState = 'waiting' | 'done' | 'failed' | 'skipped';

/** One step of the runbook of a target. */
export interface RunbookStepRow {
  /** By which a receiver knows a repetition. */
  readonly id: string;
  readonly ordinal: number;
  readonly kind: string;
  /** As written. */
  readonly spec: unknown;
  readonly state: StepState;
  readonly tries: number;
  readonly nextAt: Date;
  readonly beganAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly note: Readonly<Record<string, unknown>> | undefined;
  readonly result: Readonly<Record<string, unknown>> | undefined;
  readonly error: string | undefined;
  readonly approvals: readonly { readonly person: string; readonly at: Date }[];
  /** By the database's clock: it may be tried now. */
  readonly due: boolean;
  /** By the database's clock: nobody may approve it any more. */
  readonly expired: boolean;
}

export interface NewSteps {
  readonly policyUid: string;
  readonly steps: readonly {
    readonly ordinal: number;
    readonly kind: string;
    readonly spec: unknown;
    /** People may approve it from now on, for so long. */
    readonly opensForMs?: number | undefined;
  }[];
}

/** Keeps the steps for the open targets of these policies; those that are there already stay as they are. */
export async function planSteps(ledger: Ledger, planned: readonly NewSteps[]): Promise<void> {
  const rows = planned.flatMap(({ policyUid, steps }) => steps.map((step) => ({ policyUid, ...step })));
  if (rows.length === 0) return;
  await ledger.query(
    `WITH planned AS (
       SELECT t.incident_id, t.policy_uid, s.ordinal, s.kind, s.spec,
              CASE WHEN s."opensForMs" IS NOT NULL THEN clock_timestamp() END AS began_at,
              clock_timestamp() + s."opensForMs" * interval '1 millisecond' AS expires_at
         FROM jsonb_to_recordset($1::jsonb) AS s ("policyUid" uuid, ordinal integer, kind text, spec jsonb, "opensForMs" float8)
         JOIN rotor.incident_targets t ON t.policy_uid = s."policyUid" AND t.ended_at IS NULL),
     added AS (
       INSERT INTO rotor.incident_steps (incident_id, policy_uid, ordinal, kind, spec, began_at, expires_at)
       SELECT * FROM planned ON CONFLICT DO NOTHING)
     UPDATE rotor.incident_targets t SET steps_at = clock_timestamp()
       FROM (SELECT DISTINCT incident_id, policy_uid FROM planned
              WHERE kind IN ('approve', 'custom', 'evidence', 'resolve')) AS due
      WHERE t.incident_id = due.incident_id AND t.policy_uid = due.policy_uid AND t.steps_at IS NULL`,
    [JSON.stringify(rows)],
    'plan-steps',
  );
}

/** Those of these policies whose open target has a step of one of these kinds. */
export async function withSteps(
  ledger: Ledger,
  policyUids: readonly string[],
  kinds: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await ledger.query<{ uid: string }>(
    `SELECT DISTINCT s.policy_uid AS uid FROM rotor.incident_steps s
       JOIN rotor.incident_targets t USING (incident_id, policy_uid)
      WHERE s.policy_uid = ANY ($1) AND s.kind = ANY ($2) AND t.ended_at IS NULL`,
    [policyUids, kinds],
    'policies-with-steps',
  );
  return new Set(rows.map(({ uid }) => uid));
}

/** A target whose steps are in hand, and how far its answer is. */
export interface RunbookTarget {
  readonly incidentId: string;
  readonly policyUid: string;
  readonly policy: string;
  readonly answer: Answer;
  readonly mode: Mode;
  readonly versionId: string | undefined;
  readonly versionState: VersionState | undefined;
  readonly containedAt: Date | undefined;
  readonly rotationId: string | undefined;
  readonly rotationState: RotationState | undefined;
  readonly rotationNewVersion: string | undefined;
  readonly result: 'proven' | 'failed' | 'noted' | undefined;
  readonly openedAt: Date;
  /** The whole incident has ended, or this target a while ago: what is written now is complete. */
  readonly settled: boolean;
  /** Names the hold: who was overtaken holds no more. */
  readonly hold: string;
}

/** Takes targets whose steps are to be looked at, those that waited longest first, each for `leaseMs` and by one only. */
export async function takeRunbooks(
  ledger: Ledger,
  leaseMs: number,
  limit: number,
): Promise<readonly RunbookTarget[]> {
  const rows = await ledger.query<{ [K in keyof RunbookTarget]: NonNullable<RunbookTarget[K]> | null }>(
    `WITH taken AS (
       UPDATE rotor.incident_targets t SET steps_at = clock_timestamp() + $1 * interval '1 millisecond'
         FROM (SELECT incident_id, policy_uid FROM rotor.incident_targets WHERE steps_at <= clock_timestamp()
                ORDER BY steps_at LIMIT $2 FOR UPDATE SKIP LOCKED) AS due
        WHERE t.incident_id = due.incident_id AND t.policy_uid = due.policy_uid RETURNING t.*)
     SELECT t.incident_id AS "incidentId", t.policy_uid AS "policyUid", t.policy, t.answer, t.mode,
            t.version_id AS "versionId", v.state AS "versionState", t.contained_at AS "containedAt",
            t.rotation_id AS "rotationId", r.state AS "rotationState", r.new_version AS "rotationNewVersion",
            t.result, i.opened_at AS "openedAt",
            coalesce(i.ended_at IS NOT NULL OR t.ended_at < clock_timestamp() - interval '1 minute', false) AS settled, t.steps_at::text AS hold
       FROM taken t
       JOIN rotor.incidents i ON i.id = t.incident_id
       LEFT JOIN rotor.credential_versions v ON v.id = t.version_id
       LEFT JOIN rotor.rotations r ON r.id = t.rotation_id`,
    [leaseMs, limit],
    'take-runbooks',
  );
  return rows.map((row) => ({
    ...(row as RunbookTarget),
    versionId: row.versionId ?? undefined,
    versionState: row.versionState ?? undefined,
    containedAt: row.containedAt ?? undefined,
    rotationId: row.rotationId ?? undefined,
    rotationState: row.rotationState ?? undefined,
    rotationNewVersion: row.rotationNewVersion ?? undefined,
    result: row.result ?? undefined,
  }));
}

/**
 * Keeps a target for longer, or lets it go until then.
 * @param inMs undefined: nothing is left to do
 * @returns the new hold; undefined when somebody else has it
 */
export async function holdRunbook(
  ledger: Ledger,
  { incidentId, policyUid, hold }: Pick<RunbookTarget, 'incidentId' | 'policyUid' | 'hold'>,
  inMs: number | undefined,
): Promise<string | undefined> {
  const [row] = await ledger.query<{ hold: string | null }>(
    `UPDATE rotor.incident_targets SET steps_at = clock_timestamp() + $4::float8 * interval '1 millisecond'
      WHERE incident_id = $1 AND policy_uid = $2 AND steps_at = $3::timestamptz RETURNING steps_at::text AS hold`,
    [incidentId, policyUid, hold, inMs ?? null],
    'hold-runbook',
  );
  return row?.hold ?? undefined;
}

interface StepRow {
  id: string;
  policy_uid: string;
  ordinal: number;
  kind: string;
  spec: unknown;
  state: StepState;
  tries: number;
  next_at: Date;
  began_at: Date | null;
  expires_at: Date | null;
  ended_at: Date | null;
  note: Record<string, unknown> | null;
  result: Record<string, unknown> | null;
  error: string | null;
  due: boolean;
  expired: boolean;
  approvals: { person: string; at: string }[] | null;
}

/**
 * Steps of an incident in their order, by the uid of the policy.
 * @param policyUid undefined: of all its targets
 */
export async function stepsOfIncident(
  ledger: Ledger,
  incidentId: string,
  policyUid?: string,
): Promise<ReadonlyMap<string, readonly RunbookStepRow[]>> {
  const rows = await ledger.query<StepRow & Record<string, unknown>>(
    `SELECT s.*, s.next_at <= clock_timestamp() AS due, coalesce(s.expires_at <= clock_timestamp(), false) AS expired,
            (SELECT json_agg(json_build_object('person', a.person, 'at', a.at) ORDER BY a.at)
               FROM rotor.incident_approvals a WHERE a.step_id = s.id) AS approvals
       FROM rotor.incident_steps s
      WHERE s.incident_id = $1 AND ($2::uuid IS NULL OR s.policy_uid = $2)
      ORDER BY s.policy_uid, s.ordinal`,
    [incidentId, policyUid ?? null],
    'steps-of-incident',
  );
  const byPolicy = new Map<string, RunbookStepRow[]>();
  for (const row of rows) {
    const steps = byPolicy.get(row.policy_uid) ?? [];
    steps.push(fromRow(row));
    byPolicy.set(row.policy_uid, steps);
  }
  return byPolicy;
}

/** Steps of the open target of a policy, in their order. */
export async function stepsOfOpenTarget(
  ledger: Ledger,
  policyUid: string,
): Promise<readonly Pick<RunbookStepRow, 'ordinal' | 'kind' | 'spec' | 'state'>[]> {
  return ledger.query<Pick<RunbookStepRow, 'ordinal' | 'kind' | 'spec' | 'state'> & Record<string, unknown>>(
    `SELECT s.ordinal, s.kind, s.spec, s.state
       FROM rotor.incident_targets t JOIN rotor.incident_steps s USING (incident_id, policy_uid)
      WHERE t.policy_uid = $1 AND t.ended_at IS NULL ORDER BY s.ordinal`,
    [policyUid],
    'steps-of-open-target',
  );
}

/**
 * Notes that a step is tried now, before it is.
 * @param note kept from the first try
 * @returns the note; undefined when the step has ended
 */
export async function beginStep(
  ledger: Ledger,
  id: string,
  note: Readonly<Record<string, unknown>>,
): Promise<{ readonly note: Readonly<Record<string, unknown>>; readonly tries: number } | undefined> {
  const [row] = await ledger.query<{ note: Record<string, unknown>; tries: number }>(
    `UPDATE rotor.incident_steps
        SET tries = tries + 1, began_at = coalesce(began_at, clock_timestamp()), note = coalesce(note, $2)
      WHERE id = $1 AND state = 'waiting' RETURNING note, tries`,
    [id, JSON.stringify(note)],
    'begin-step',
  );
  return row;
}

/** Opens an approval, once: from now on people may give it, for `expiresInMs`. */
export async function openApproval(ledger: Ledger, id: string, expiresInMs: number): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_steps
        SET began_at = clock_timestamp(), expires_at = clock_timestamp() + $2 * interval '1 millisecond'
      WHERE id = $1 AND state = 'waiting' AND began_at IS NULL`,
    [id, expiresInMs],
    'open-approval',
  );
}

/** Ends a step. @returns false when it had ended before */
export async function endStep(
  ledger: Ledger,
  id: string,
  state: Exclude<StepState, 'waiting'>,
  { result, error }: { readonly result?: unknown; readonly error?: string | undefined },
): Promise<boolean> {
  const rows = await ledger.query(
    `UPDATE rotor.incident_steps SET state = $2, ended_at = clock_timestamp(), result = $3, error = $4
      WHERE id = $1 AND state = 'waiting' RETURNING id`,
    [id, state, result === undefined ? null : JSON.stringify(result), error ?? null],
    'end-step',
  );
  return rows.length === 1;
}

/** Ends the steps of other targets of the incident that wrote or would write the same, where these have ended before `before`. */
export async function endLikeSteps(
  ledger: Ledger,
  incidentId: string,
  step: Pick<RunbookStepRow, 'id' | 'kind' | 'spec'>,
  before: Date,
  result: unknown,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_steps s SET state = 'done', ended_at = clock_timestamp(), result = $5
       FROM rotor.incident_targets t
      WHERE s.incident_id = $1 AND s.kind = $2 AND s.spec = $3::jsonb AND s.state = 'waiting' AND s.id <> $6
        AND t.incident_id = s.incident_id AND t.policy_uid = s.policy_uid
        AND t.result = 'proven' AND t.ended_at <= $4
        AND NOT EXISTS (SELECT FROM rotor.incident_steps b
                         WHERE b.incident_id = s.incident_id AND b.policy_uid = s.policy_uid AND b.ordinal < s.ordinal
                           AND b.state = 'waiting' AND b.kind IN ('approve', 'custom', 'resolve'))`,
    [incidentId, step.kind, JSON.stringify(step.spec), before, JSON.stringify(result), step.id],
    'end-like-steps',
  );
}

/** Ends all steps of a target that wait: nothing of what comes after is done. */
export async function skipSteps(
  ledger: Ledger,
  incidentId: string,
  policyUid: string,
  why: string,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_steps SET state = 'skipped', ended_at = clock_timestamp(), error = $3
      WHERE incident_id = $1 AND policy_uid = $2 AND state = 'waiting'`,
    [incidentId, policyUid, why],
    'skip-steps',
  );
}

/** Has a step tried again. @param error for people */
export async function retryStep(ledger: Ledger, id: string, error: string, inMs: number): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_steps SET error = $2, next_at = clock_timestamp() + $3 * interval '1 millisecond'
      WHERE id = $1 AND state = 'waiting'`,
    [id, error, inMs],
    'retry-step',
  );
}

function fromRow(row: StepRow): RunbookStepRow {
  return {
    id: row.id,
    ordinal: row.ordinal,
    kind: row.kind,
    spec: row.spec,
    state: row.state,
    tries: row.tries,
    nextAt: row.next_at,
    beganAt: row.began_at ?? undefined,
    expiresAt: row.expires_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    note: row.note ?? undefined,
    result: row.result ?? undefined,
    error: row.error ?? undefined,
    approvals: (row.approvals ?? []).map(({ person, at }) => ({ person, at: new Date(at) })),
    due: row.due,
    expired: row.expired,
  };
}
