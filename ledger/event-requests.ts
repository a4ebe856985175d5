import type { Ledger } from './database.ts';
import type { RotationState } from './rotations.ts';

/** A policy and where its store keeps it. */
export interface StoredAt {
  readonly policyUid: string;
  /** `namespace/name` */
  readonly policy: string;
  readonly path: string;
  readonly store: { readonly kind: string; readonly spec: unknown };
}

/** All policies whose store is of one of these kinds. Events are rare, so no index has to serve it. */
export async function policiesStoredIn(
  ledger: Ledger,
  kinds: readonly string[],
): Promise<readonly StoredAt[]> {
  const rows = await ledger.query<{ uid: string; policy: string; path: string; store: StoredAt['store'] }>(
    `SELECT p.uid, p.namespace || '/' || p.name AS policy, p.spec -> 'store' ->> 'path' AS path, s.spec AS store
       FROM rotor.resources s
       JOIN rotor.policies p ON p.namespace = s.namespace AND p.spec -> 'store' ->> 'name' = s.name
      WHERE s.kind = 'Store' AND s.spec ->> 'kind' = ANY ($1)
      ORDER BY 2`,
    [kinds],
    'policies-stored-in',
  );
  return rows.map(({ uid, policy, path, store }) => ({ policyUid: uid, policy, path, store }));
}

/** What a request meets. Times are the database's. */
export interface Standing {
  readonly paused: boolean;
  readonly suspended: boolean;
  readonly lastRotatedAt: Date | undefined;
  readonly now: Date;
  readonly latest:
    | {
        readonly id: string;
        readonly state: RotationState;
        readonly open: boolean;
        readonly createdAt: Date;
      }
    | undefined;
}

/** How it stands with a policy, which nobody else asks for until `ledger`, a transaction, ends. */
export async function lockStanding(ledger: Ledger, policyUid: string): Promise<Standing> {
  const [row] = await ledger.query<{
    paused: boolean;
    suspended: boolean;
    last_rotated_at: Date | null;
    now: Date;
  }>(
    `SELECT paused, coalesce((spec ->> 'suspend')::boolean, false) AS suspended, last_rotated_at, clock_timestamp() AS now
       FROM rotor.policies WHERE uid = $1 FOR UPDATE`,
    [policyUid],
    'lock-standing',
  );
  const [latest] = await ledger.query<{ id: string; state: RotationState; open: boolean; created_at: Date }>(
    `SELECT id, state, holds IS NOT NULL AS open, created_at FROM rotor.rotations
      WHERE policy_uid = $1 ORDER BY created_at DESC LIMIT 1`,
    [policyUid],
    'latest-of-policy',
  );
  return {
    paused: row?.paused ?? false,
    suspended: row?.suspended ?? false,
    lastRotatedAt: row?.last_rotated_at ?? undefined,
    now: row?.now ?? new Date(0),
    latest: latest && {
      id: latest.id,
      state: latest.state,
      open: latest.open,
      createdAt: latest.created_at,
    },
  };
}

export interface NewRequest {
  readonly policyUid: string;
  readonly key: string;
  readonly source: string;
  readonly type: string;
  readonly reference: string;
}

export type RequestState = 'waits' | 'answered' | 'echo';

/**
 * Notes that an event asks for a rotation; one that `waits` gives the policy a new place in the due index.
 * @returns false when the same event asked before
 */
export async function noteRequest(
  ledger: Ledger,
  request: NewRequest,
  state: RequestState,
  rotationId: string | undefined,
): Promise<boolean> {
  const rows = await ledger.query(
    `WITH noted AS (
       INSERT INTO rotor.event_requests (policy_uid, key, source, type, reference, state, rotation_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING policy_uid, state),
     asked AS (
       UPDATE rotor.policies p SET requested_at = coalesce(requested_at, clock_timestamp())
         FROM noted WHERE p.uid = noted.policy_uid AND noted.state = 'waits'),
     replanned AS (
       INSERT INTO rotor.replans SELECT policy_uid FROM noted WHERE state = 'waits' ON CONFLICT DO NOTHING)
     SELECT FROM noted`,
    [
      request.policyUid,
      request.key,
      request.source,
      request.type,
      request.reference,
      state,
      rotationId ?? null,
    ],
    'note-event-request',
  );
  return rows.length === 1;
}

/** Who asked first of those that wait for a rotation of the policy. */
export async function waitingSource(ledger: Ledger, policyUid: string): Promise<string | undefined> {
  const [row] = await ledger.query<{ source: string }>(
    `SELECT source FROM rotor.event_requests WHERE policy_uid = $1 AND state = 'waits' ORDER BY at LIMIT 1`,
    [policyUid],
    'waiting-source',
  );
  return row?.source;
}

/** All that waits for a rotation of the policy is answered by this one. */
export async function answerWaiting(
  ledger: Ledger,
  policyUid: string,
  rotationId: string | undefined,
): Promise<void> {
  await ledger.query(
    `WITH answered AS (
       UPDATE rotor.event_requests SET state = 'answered', rotation_id = $2
        WHERE policy_uid = $1 AND state = 'waits')
     UPDATE rotor.policies SET requested_at = NULL WHERE uid = $1`,
    [policyUid, rotationId ?? null],
    'answer-waiting',
  );
}

/** An event as a rotation shows what asked for it. */
export interface AskedBy {
  readonly source: string;
  readonly type: string;
  readonly reference: string;
  readonly at: Date;
}

/** The events that a rotation answers, the first one first. */
export async function requestsAnsweredBy(ledger: Ledger, rotationId: string): Promise<readonly AskedBy[]> {
  const rows = await ledger.query<{ source: string; type: string; reference: string; at: Date }>(
    'SELECT source, type, reference, at FROM rotor.event_requests WHERE rotation_id = $1 ORDER BY at LIMIT 20',
    [rotationId],
    'requests-answered-by',
  );
  return rows.map(({ source, type, reference, at }) => ({ source, type, reference, at }));
}

/** Forgets what asked for rotations so long ago; what still waits stays. */
export async function forgetRequests(ledger: Ledger, olderThanMs: number): Promise<void> {
  await ledger.query(
    `DELETE FROM rotor.event_requests
      WHERE state <> 'waits' AND at < clock_timestamp() - $1 * interval '1 millisecond'`,
    [olderThanMs],
  );
}
