import type { ErrorRecord } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import type { RotationState, Trigger } from './rotations.ts';

/** One rotation as an outlook tells it. */
export interface OutlookRotation {
  readonly id: string;
  readonly state: RotationState;
  readonly trigger: Trigger;
  readonly requestedBy: string;
  readonly waitReason: string | undefined;
  readonly newVersion: string | undefined;
  readonly error: ErrorRecord | undefined;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
}

/** What there is to say about a policy at the moment, in one look. */
export interface Outlook<Spec = unknown> {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly spec: Spec;
  readonly paused: boolean;
  readonly nextDueAt: Date | undefined;
  readonly dueReason: string | undefined;
  /** Its place in the due index is about to be computed anew. */
  readonly replanning: boolean;
  readonly lastRotatedAt: Date | undefined;
  readonly currentVersion: string | undefined;
  /** The latest, newest first. */
  readonly rotations: readonly OutlookRotation[];
}

interface Row<Spec> {
  uid: string;
  namespace: string;
  name: string;
  spec: Spec;
  paused: boolean;
  next_due_at: Date | null;
  due_reason: string | null;
  replanning: boolean;
  last_rotated_at: Date | null;
  current_version: string | null;
  rotations: readonly RotationRow[] | null;
}

/** As JSON gives it. */
interface RotationRow {
  id: string;
  state: RotationState;
  trigger: Trigger;
  requested_by: string;
  wait_reason: string | null;
  new_version: string | null;
  error: ErrorRecord | null;
  created_at: string;
  ended_at: string | null;
}

/** Enough that none is missed between two looks. */
const ROTATIONS = 5;

/** The outlooks of the policies of a namespace; of those in `names` only, when given. */
export async function policyOutlooks<Spec>(
  ledger: Ledger,
  namespace: string,
  names?: readonly string[],
): Promise<readonly Outlook<Spec>[]> {
  const rows = await ledger.query<Row<Spec>>(
    `SELECT p.uid, p.namespace, p.name, p.spec, p.paused, p.next_due_at, p.due_reason, p.last_rotated_at,
            EXISTS (SELECT FROM rotor.replans WHERE policy_uid = p.uid) AS replanning,
            (SELECT v.id FROM rotor.credential_versions v WHERE v.policy_uid = p.uid AND v.state = 'current'
              ORDER BY v.created_at DESC LIMIT 1) AS current_version,
            (SELECT jsonb_agg(r ORDER BY r.created_at DESC)
               FROM (SELECT id, state, trigger, requested_by, wait_reason, new_version, error, created_at, ended_at
                       FROM rotor.rotations WHERE policy_uid = p.uid ORDER BY created_at DESC LIMIT ${ROTATIONS}) r) AS rotations
       FROM rotor.policies p WHERE p.namespace = $1 AND ($2::text[] IS NULL OR p.name = ANY($2)) ORDER BY p.name`,
    [namespace, names ?? null],
    'policy-outlooks',
  );
  return rows.map((row) => ({
    uid: row.uid,
    namespace: row.namespace,
    name: row.name,
    spec: row.spec,
    paused: row.paused,
    nextDueAt: row.next_due_at ?? undefined,
    dueReason: row.due_reason ?? undefined,
    replanning: row.replanning,
    lastRotatedAt: row.last_rotated_at ?? undefined,
    currentVersion: row.current_version ?? undefined,
    rotations: (row.rotations ?? []).map((rotation) => ({
      id: rotation.id,
      state: rotation.state,
      trigger: rotation.trigger,
      requestedBy: rotation.requested_by,
      waitReason: rotation.wait_reason ?? undefined,
      newVersion: rotation.new_version ?? undefined,
      error: rotation.error ?? undefined,
      createdAt: new Date(rotation.created_at),
      endedAt: rotation.ended_at === null ? undefined : new Date(rotation.ended_at),
    })),
  }));
}

/** Rotations looked at beside the open ones, to see those that began and ended between two looks. */
const RECENT = 100;

/**
 * Policies (`namespace/name`) about which something may have changed lately, each with a text that differs when it has:
 * those with an open rotation, those of the latest rotations, those that are being planned anew. The cost grows with what
 * goes on, not with how many policies there are.
 */
export async function lively(ledger: Ledger): Promise<ReadonlyMap<string, string>> {
  const rows = await ledger.query<{ policy: string; mark: string }>(
    `SELECT p.namespace || '/' || p.name AS policy,
            concat_ws(' ', string_agg(l.mark, ' ' ORDER BY l.mark), p.generation, p.paused, p.next_due_at) AS mark
       FROM (SELECT policy_uid, concat_ws(' ', id, state, wait_reason) AS mark FROM rotor.rotations WHERE holds IS NOT NULL
             UNION ALL
             (SELECT policy_uid, concat_ws(' ', id, state) FROM rotor.rotations ORDER BY created_at DESC LIMIT ${RECENT})
             UNION ALL
             SELECT policy_uid, 'replan' FROM rotor.replans) l
       JOIN rotor.policies p ON p.uid = l.policy_uid
      GROUP BY p.uid, p.namespace, p.name, p.generation, p.paused, p.next_due_at`,
    [],
    'lively',
  );
  return new Map(rows.map(({ policy, mark }) => [policy, mark]));
}

/** Names of all policies of some namespaces. */
export async function policyNames(
  ledger: Ledger,
  namespaces: readonly string[],
): Promise<readonly { readonly namespace: string; readonly name: string }[]> {
  return ledger.query<{ namespace: string; name: string }>(
    'SELECT namespace, name FROM rotor.policies WHERE namespace = ANY($1) ORDER BY namespace, name',
    [namespaces],
  );
}
