import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';

export interface Policy<Spec = unknown> {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly spec: Spec;
  readonly generation: number;
  readonly paused: boolean;
  readonly nextDueAt: Date | undefined;
  readonly dueReason: string | undefined;
  readonly lastRotatedAt: Date | undefined;
  readonly createdAt: Date;
  /** When its spec was last changed. */
  readonly changedAt: Date;
  /** Since when an event waits for a rotation; undefined when none does. */
  readonly requestedAt: Date | undefined;
}

interface PolicyRow {
  uid: string;
  namespace: string;
  name: string;
  spec: unknown;
  generation: number;
  paused: boolean;
  next_due_at: Date | null;
  due_reason: string | null;
  last_rotated_at: Date | null;
  created_at: Date;
  changed_at: Date;
  requested_at: Date | null;
}

export type Applied = 'created' | 'changed' | 'unchanged';

/** Creates or replaces a policy; its generation grows when the spec differs. */
export async function applyPolicy(
  ledger: Ledger,
  policy: { readonly uid: string; readonly namespace: string; readonly name: string; readonly spec: unknown },
): Promise<{ applied: Applied; uid: string }> {
  const [row] = await ledger.query<{ uid: string; applied: Applied }>(
    `WITH before AS (SELECT uid, spec FROM rotor.policies WHERE namespace = $2 AND name = $3),
     written AS (
       INSERT INTO rotor.policies AS p (uid, namespace, name, spec) VALUES ($1, $2, $3, $4)
       ON CONFLICT (namespace, name) DO UPDATE
          SET spec = excluded.spec, updated_at = clock_timestamp(),
              changed_at = CASE WHEN p.spec = excluded.spec THEN p.changed_at ELSE clock_timestamp() END,
              generation = p.generation + CASE WHEN p.spec = excluded.spec THEN 0 ELSE 1 END
       RETURNING uid),
     replanned AS (
       INSERT INTO rotor.replans SELECT uid FROM written ON CONFLICT DO NOTHING)
     SELECT w.uid, CASE WHEN b.uid IS NULL THEN 'created' WHEN b.spec = $4::jsonb THEN 'unchanged' ELSE 'changed' END AS applied
       FROM written w LEFT JOIN before b ON true`,
    [policy.uid, policy.namespace, policy.name, JSON.stringify(policy.spec)],
  );
  if (!row) throw new RotorError('internal.bug', { what: `policy ${policy.name} was not written` });
  return row;
}

/** @param policy `namespace/name` @throws RotorError `ledger.not-found` */
export async function getPolicy<Spec>(ledger: Ledger, policy: string): Promise<Policy<Spec>> {
  const [namespace, name] = policy.split('/');
  const rows = await ledger.query<PolicyRow & Record<string, unknown>>(
    'SELECT * FROM rotor.policies WHERE namespace = $1 AND name = $2',
    [namespace, name],
  );
  if (!rows[0]) throw new RotorError('ledger.not-found', { what: `there is no policy ${policy}` });
  return fromRow(rows[0]) as Policy<Spec>;
}

/** The policies of these names (`namespace/name`) that there are. */
export async function getPolicies<Spec>(
  ledger: Ledger,
  policies: readonly string[],
): Promise<readonly Policy<Spec>[]> {
  const rows = await ledger.query<PolicyRow & Record<string, unknown>>(
    `SELECT p.* FROM unnest($1::text[]) AS named (policy)
       JOIN rotor.policies p ON p.namespace = split_part(policy, '/', 1) AND p.name = split_part(policy, '/', 2)`,
    [policies],
    'get-policies',
  );
  return rows.map((row) => fromRow(row) as Policy<Spec>);
}

export async function listPolicies<Spec>(ledger: Ledger, limit = 1_000): Promise<readonly Policy<Spec>[]> {
  const rows = await ledger.query<PolicyRow & Record<string, unknown>>(
    'SELECT * FROM rotor.policies ORDER BY namespace, name LIMIT $1',
    [limit],
  );
  return rows.map((row) => fromRow(row) as Policy<Spec>);
}

/** Pauses or resumes a policy, or all of them (`policy` undefined). @returns how many changed */
export async function setPaused(ledger: Ledger, paused: boolean, policy?: string): Promise<number> {
  const rows = await ledger.query(
    `WITH changed AS (
       UPDATE rotor.policies SET paused = $1, updated_at = clock_timestamp()
        WHERE paused <> $1 AND ($2::text IS NULL OR namespace || '/' || name = $2) RETURNING uid),
     replanned AS (INSERT INTO rotor.replans SELECT uid FROM changed ON CONFLICT DO NOTHING)
     SELECT uid FROM changed`,
    [paused, policy ?? null],
  );
  return rows.length;
}

/**
 * Due policies, earliest first, each handed to one scheduler only: rows stay locked until `ledger`, a transaction,
 * ends. The cost grows with what is due, not with how many policies there are.
 */
export async function lockDuePolicies<Spec>(
  ledger: Ledger,
  now: Date,
  limit: number,
): Promise<readonly Policy<Spec>[]> {
  const rows = await ledger.query<PolicyRow & Record<string, unknown>>(
    `SELECT * FROM rotor.policies WHERE next_due_at <= $1 AND NOT paused
      ORDER BY next_due_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [now, limit],
    'lock-due',
  );
  return rows.map((row) => fromRow(row) as Policy<Spec>);
}

/**
 * Takes policies whose place in the due index must be computed anew, each handed to one scheduler only, in the
 * transaction `ledger` that then computes it.
 */
export async function takePoliciesToReplan<Spec>(
  ledger: Ledger,
  limit: number,
): Promise<readonly Policy<Spec>[]> {
  const rows = await ledger.query<PolicyRow & Record<string, unknown>>(
    `WITH taken AS (
       DELETE FROM rotor.replans WHERE policy_uid IN (
         SELECT policy_uid FROM rotor.replans LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING policy_uid)
     SELECT p.* FROM taken JOIN rotor.policies p ON p.uid = taken.policy_uid`,
    [limit],
    'take-replans',
  );
  return rows.map((row) => fromRow(row) as Policy<Spec>);
}

/** Puts a policy at its next place in the due index (undefined: never). */
export async function setDue(
  ledger: Ledger,
  uid: string,
  at: Date | undefined,
  reason: string,
): Promise<void> {
  await ledger.query(
    'UPDATE rotor.policies SET next_due_at = $2, due_reason = $3 WHERE uid = $1',
    [uid, at ?? null, reason],
    'set-due',
  );
}

/** How late the most overdue policy is, in seconds: the alert for a scheduler that silently stopped. */
export async function dueLagSeconds(ledger: Ledger, now: Date): Promise<number> {
  const [row] = await ledger.query<{ lag: number }>(
    `SELECT greatest(0, extract(epoch FROM $1::timestamptz - min(next_due_at)))::float8 AS lag
       FROM rotor.policies WHERE next_due_at IS NOT NULL AND NOT paused`,
    [now],
  );
  return row?.lag ?? 0;
}

/** Age of the credential that was rotated longest ago, in seconds; 0 when none ever was. */
export async function oldestCredentialSeconds(ledger: Ledger): Promise<number> {
  const [row] = await ledger.query<{ age: number | null }>(
    'SELECT extract(epoch FROM clock_timestamp() - min(last_rotated_at))::float8 AS age FROM rotor.policies',
  );
  return row?.age ?? 0;
}

function fromRow(row: PolicyRow): Policy {
  return {
    uid: row.uid,
    namespace: row.namespace,
    name: row.name,
    spec: row.spec,
    generation: row.generation,
    paused: row.paused,
    nextDueAt: row.next_due_at ?? undefined,
    dueReason: row.due_reason ?? undefined,
    lastRotatedAt: row.last_rotated_at ?? undefined,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    requestedAt: row.requested_at ?? undefined,
  };
}
