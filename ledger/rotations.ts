import type { ErrorRecord } from '../core/errors.ts';
import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import { heldBack } from './incident-targets.ts';

export type RotationState = 'queued' | 'running' | 'waiting' | 'done' | 'rolled-back' | 'needs-human';
export type Direction = 'forward' | 'back';
export type Trigger = 'schedule' | 'manual' | 'max-age' | 'incident' | 'event';

/** One run of a policy. Times are the database's. */
export interface Rotation<Spec = unknown> {
  readonly id: string;
  readonly policyUid: string;
  /** `namespace/name` of the policy. */
  readonly policy: string;
  readonly provider: string | undefined;
  readonly trigger: Trigger;
  readonly requestedBy: string;
  /** Policy, provider and store as they were when the rotation was created. */
  readonly spec: Spec;
  readonly state: RotationState;
  readonly direction: Direction;
  readonly step: string | undefined;
  /** Fencing token of the latest claim. */
  readonly epoch: bigint;
  readonly worker: string | undefined;
  readonly wakeAt: Date | undefined;
  readonly waitReason: string | undefined;
  readonly cancelRequested: boolean;
  /** A worker died while holding it, and another went on. */
  readonly recovered: boolean;
  readonly oldVersion: string | undefined;
  readonly newVersion: string | undefined;
  readonly error: ErrorRecord | undefined;
  readonly trace: string | undefined;
  readonly createdAt: Date;
  readonly startedAt: Date | undefined;
  readonly deadlineAt: Date;
  /** The deadline had passed, by the database's clock, when this was read. */
  readonly overdue: boolean;
  readonly endedAt: Date | undefined;
}

export interface NewRotation {
  readonly id: string;
  readonly policyUid: string;
  readonly trigger: Trigger;
  readonly requestedBy: string;
  readonly spec: unknown;
  readonly provider?: string | undefined;
  readonly deadlineMs: number;
  /** W3C traceparent of the request, so that the worker's spans join it. */
  readonly trace?: string | undefined;
}

interface RotationRow {
  id: string;
  policy_uid: string;
  policy: string;
  provider: string | null;
  trigger: Trigger;
  requested_by: string;
  spec: unknown;
  state: RotationState;
  direction: Direction;
  step: string | null;
  /** The step by the journal, which is ahead of the rotation's own row. */
  at_step?: string | null;
  epoch: bigint;
  worker: string | null;
  wake_at: Date | null;
  wait_reason: string | null;
  cancel_requested: boolean;
  hurried: boolean;
  recovered: boolean;
  old_version: string | null;
  new_version: string | null;
  error: ErrorRecord | null;
  trace: string | null;
  created_at: Date;
  started_at: Date | null;
  deadline_at: Date;
  overdue: boolean;
  ended_at: Date | null;
}

/**
 * Creates a queued rotation and its audit row.
 * @returns false when the policy has an open rotation already, or an open incident holds its credential (nothing is created then)
 */
export async function createRotation(ledger: Ledger, rotation: NewRotation): Promise<boolean> {
  const rows = await ledger.query(
    `WITH created AS (
       INSERT INTO rotor.rotations (id, policy_uid, holds, policy, provider, trigger, requested_by, spec, trace, deadline_at)
       SELECT $1, p.uid, p.uid, p.namespace || '/' || p.name, $3, $4, $5, $6, $7,
              clock_timestamp() + $8 * interval '1 millisecond'
         FROM rotor.policies p WHERE p.uid = $2 AND NOT ${heldBack('$4::text')}
       ON CONFLICT DO NOTHING
       RETURNING id, policy)
     INSERT INTO rotor.audit (actor, action, subject, detail)
     SELECT $5, 'rotation.requested', 'rotation/' || id, jsonb_build_object('policy', policy, 'trigger', $4::text)
       FROM created RETURNING id`,
    [
      rotation.id,
      rotation.policyUid,
      rotation.provider ?? null,
      rotation.trigger,
      rotation.requestedBy,
      JSON.stringify(rotation.spec),
      rotation.trace ?? null,
      rotation.deadlineMs,
    ],
    'create-rotation',
  );
  return rows.length === 1;
}

/** A rotation in hand: what its holder needs to go on. */
export interface Claimed<Spec>
  extends Pick<
    Rotation<Spec>,
    | 'id'
    | 'policyUid'
    | 'policy'
    | 'spec'
    | 'epoch'
    | 'cancelRequested'
    | 'overdue'
    | 'oldVersion'
    | 'newVersion'
    | 'error'
    | 'trace'
    | 'createdAt'
  > {
  /** An incident waits for its end. */
  readonly hurried: boolean;
  /** Whether it was claimed before, so that its journal may have rows. */
  readonly journaled: boolean;
}

type ClaimedRow = RotationRow & { journaled: boolean };

const CLAIMABLE = `state IN ('queued', 'running', 'waiting')
  AND (lease_until IS NULL OR lease_until <= clock_timestamp()) AND (wake_at IS NULL OR wake_at <= clock_timestamp())`;
const ABOUT_CLAIMED = `r.policy_uid, r.policy, r.spec, r.epoch, r.cancel_requested, r.hurried, r.old_version, r.new_version, r.error, r.trace,
  r.created_at, r.deadline_at < clock_timestamp() AS overdue,
  r.started_at < statement_timestamp() AS journaled`;
// The claim isn't waited for on disk: should the server crash and forget it, the holder's next write names an epoch that
// never was, and is refused; whatever it wrote durably comes after the claim in the log, and so made it durable too.
const CLAIM_PLAIN = `UPDATE rotor.rotations r
   SET epoch = nextval('rotor.fence'), recovered = r.recovered OR r.lease_until IS NOT NULL, worker = $2,
       lease_until = clock_timestamp() + $3::integer * interval '1 millisecond', wake_at = NULL, wait_reason = NULL,
       state = 'running', started_at = coalesce(r.started_at, statement_timestamp())
 WHERE id = $1 AND spec -> 'maxConcurrent' IS NULL AND ${CLAIMABLE} RETURNING ${ABOUT_CLAIMED}, set_config('synchronous_commit', 'off', true)`;
const CLAIM_LIMITED = `SELECT ${ABOUT_CLAIMED} FROM rotor.claim($1, $2, $3) AS r`;

/**
 * Takes hold of a rotation for `leaseMs`: a new epoch, after which every write of an earlier holder is refused.
 * @returns undefined when it is held, ended, not to be woken yet, or its provider is at its limit (`maxConcurrent` of the spec)
 */
export async function claimRotation<Spec>(
  ledger: Ledger,
  id: string,
  worker: string,
  leaseMs: number,
): Promise<Claimed<Spec> | undefined> {
  // A provider without a limit needs no lock: one plain statement. Where there is one, rotor.claim takes turns.
  const [plain] = await ledger.query<ClaimedRow>(CLAIM_PLAIN, [id, worker, leaseMs], 'claim-plain');
  const [row] = plain
    ? [plain]
    : await ledger.query<ClaimedRow>(CLAIM_LIMITED, [id, worker, leaseMs], 'claim');
  return (
    row && {
      id,
      policyUid: row.policy_uid,
      policy: row.policy,
      spec: row.spec as Spec,
      epoch: row.epoch,
      cancelRequested: row.cancel_requested,
      hurried: row.hurried,
      overdue: row.overdue,
      oldVersion: row.old_version ?? undefined,
      newVersion: row.new_version ?? undefined,
      error: row.error ?? undefined,
      trace: row.trace ?? undefined,
      createdAt: row.created_at,
      journaled: row.journaled,
    }
  );
}

/** Prolongs the lease. @returns false when another worker holds the rotation now */
export async function renewLease(
  ledger: Ledger,
  id: string,
  epoch: bigint,
  leaseMs: number,
): Promise<boolean> {
  const rows = await ledger.query(
    `UPDATE rotor.rotations SET lease_until = clock_timestamp() + $3 * interval '1 millisecond'
      WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING cancel_requested`,
    [id, epoch, leaseMs],
    'renew-lease',
  );
  return rows.length === 1;
}

/** Ids of open rotations that nobody holds and that may run now: lost jobs, dead workers, waits that ended. */
export async function wakeableRotations(
  ledger: Ledger,
  limit: number,
): Promise<readonly { id: string; epoch: bigint }[]> {
  return ledger.query<{ id: string; epoch: bigint }>(
    `SELECT id, epoch FROM rotor.rotations
      WHERE holds IS NOT NULL AND state <> 'needs-human'
        AND (wake_at IS NULL OR wake_at <= clock_timestamp())
        AND (lease_until IS NULL OR lease_until <= clock_timestamp())
        AND (state <> 'queued' OR created_at <= clock_timestamp() - interval '1 second' OR lease_until IS NOT NULL)
      ORDER BY wake_at NULLS FIRST LIMIT $1`,
    [limit],
    'wakeable',
  );
}

const SELECT = `SELECT r.*, deadline_at < clock_timestamp() AS overdue,
  (SELECT coalesce(j.next_step, j.step) FROM rotor.journal j WHERE j.rotation_id = r.id ORDER BY j.seq DESC LIMIT 1) AS at_step
  FROM rotor.rotations r`;

/** @throws RotorError `ledger.not-found` */
export async function getRotation<Spec>(ledger: Ledger, id: string): Promise<Rotation<Spec>> {
  const rows = await ledger.query<RotationRow>(`${SELECT} WHERE id = $1`, [id], 'get-rotation');
  if (!rows[0]) throw new RotorError('ledger.not-found', { what: `there is no rotation ${id}` });
  return fromRow(rows[0]) as Rotation<Spec>;
}

export interface RotationFilter {
  readonly policy?: string | undefined;
  readonly state?: RotationState | undefined;
  readonly limit?: number | undefined;
}

/** Newest first. */
export async function listRotations(
  ledger: Ledger,
  filter: RotationFilter = {},
): Promise<readonly Rotation[]> {
  const rows = await ledger.query<RotationRow>(
    `${SELECT} WHERE ($1::text IS NULL OR policy = $1) AND ($2::text IS NULL OR state = $2)
      ORDER BY created_at DESC LIMIT $3`,
    [filter.policy ?? null, filter.state ?? null, filter.limit ?? 100],
  );
  return rows.map(fromRow);
}

/** The rotation that holds the policy's credential now, if any. */
export async function openRotationOf(ledger: Ledger, policyUid: string): Promise<Rotation | undefined> {
  const rows = await ledger.query<RotationRow>(`${SELECT} WHERE holds = $1`, [policyUid]);
  return rows[0] && fromRow(rows[0]);
}

/** The latest rotation of each of the named policies (`namespace/name`). */
export async function latestRotations(
  ledger: Ledger,
  policies: readonly string[],
): Promise<ReadonlyMap<string, { readonly createdAt: Date; readonly endedAt: Date | undefined }>> {
  const rows = await ledger.query<{ policy: string; created_at: Date; ended_at: Date | null }>(
    `SELECT p.namespace || '/' || p.name AS policy, r.created_at, r.ended_at
       FROM unnest($1::text[]) AS named (policy)
       JOIN rotor.policies p ON p.namespace = split_part(named.policy, '/', 1) AND p.name = split_part(named.policy, '/', 2)
      CROSS JOIN LATERAL (SELECT created_at, ended_at FROM rotor.rotations
                           WHERE policy_uid = p.uid ORDER BY created_at DESC LIMIT 1) AS r`,
    [policies],
    'latest-rotations',
  );
  return new Map(
    rows.map((row) => [row.policy, { createdAt: row.created_at, endedAt: row.ended_at ?? undefined }]),
  );
}

/**
 * Asks a rotation to stop: it rolls back unless the old credential is being revoked already.
 * @returns whether it was open
 */
export async function requestCancel(ledger: Ledger, id: string, actor: string): Promise<boolean> {
  const rows = await ledger.query(
    `WITH asked AS (
       UPDATE rotor.rotations SET cancel_requested = true, wake_at = NULL
        WHERE id = $1 AND state IN ('queued', 'running', 'waiting') RETURNING id)
     INSERT INTO rotor.audit (actor, action, subject)
     SELECT $2, 'rotation.cancel-requested', 'rotation/' || id FROM asked RETURNING id`,
    [id, actor],
  );
  return rows.length === 1;
}

/**
 * Lets a rotation that needed a human go on where it stopped, with a new deadline.
 * @param takenOver an incident lets it go on by itself, and no person has looked
 * @returns whether it was waiting for a human
 */
export async function resumeRotation(
  ledger: Ledger,
  id: string,
  actor: string,
  deadlineMs: number,
  takenOver = false,
): Promise<boolean> {
  const rows = await ledger.query(
    `WITH resumed AS (
       UPDATE rotor.rotations
          SET state = 'queued', ended_at = NULL, lease_until = NULL, wake_at = NULL, cancel_requested = false,
              deadline_at = clock_timestamp() + $3 * interval '1 millisecond'
        WHERE id = $1 AND state = 'needs-human' RETURNING id)
     INSERT INTO rotor.audit (actor, action, subject, detail)
     SELECT $2, 'rotation.resumed', 'rotation/' || id, CASE WHEN $4::boolean THEN '{"takenOver":true}'::jsonb ELSE '{}' END
       FROM resumed RETURNING id`,
    [id, actor, deadlineMs, takenOver],
  );
  return rows.length === 1;
}

/**
 * Who has let it go on since `since`, the latest.
 * @returns undefined when no person has: incidents go on with what stopped by themselves, and confirm nothing
 */
export async function resumedBy(ledger: Ledger, id: string, since: Date): Promise<string | undefined> {
  const [row] = await ledger.query<{ actor: string }>(
    `SELECT actor FROM rotor.audit
      WHERE subject = 'rotation/' || $1::text AND action = 'rotation.resumed' AND at >= $2 AND NOT detail ? 'takenOver'
      ORDER BY id DESC LIMIT 1`,
    [id, since],
    'resumed-by',
  );
  return row?.actor;
}

function fromRow(row: RotationRow): Rotation {
  return {
    id: row.id,
    policyUid: row.policy_uid,
    policy: row.policy,
    provider: row.provider ?? undefined,
    trigger: row.trigger,
    requestedBy: row.requested_by,
    spec: row.spec,
    state: row.state,
    direction: row.direction,
    step: row.at_step ?? row.step ?? undefined,
    epoch: row.epoch,
    worker: row.worker ?? undefined,
    wakeAt: row.wake_at ?? undefined,
    waitReason: row.wait_reason ?? undefined,
    cancelRequested: row.cancel_requested,
    recovered: row.recovered,
    oldVersion: row.old_version ?? undefined,
    newVersion: row.new_version ?? undefined,
    error: row.error ?? undefined,
    trace: row.trace ?? undefined,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    deadlineAt: row.deadline_at,
    overdue: row.overdue,
    endedAt: row.ended_at ?? undefined,
  };
}

/** The database's clock, by which leases, deadlines and grace times are measured. */
export async function ledgerNow(ledger: Ledger): Promise<Date> {
  const [row] = await ledger.query<{ now: Date }>('SELECT clock_timestamp() AS now', [], 'now');
  if (!row) throw new RotorError('internal.bug', { what: 'the database has no time' });
  return row.now;
}
