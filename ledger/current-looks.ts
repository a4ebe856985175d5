import type { Ledger } from './database.ts';

/** A policy whose current version is looked for where it is kept. */
export interface CurrentLook<Spec = unknown> {
  readonly policyUid: string;
  /** `namespace/name` */
  readonly policy: string;
  readonly spec: Spec;
  /** Looks in a row that failed before this one. */
  readonly tries: number;
  /** A rotation is open: what it does with the store it puts on record itself. */
  readonly rotating: boolean;
}

/** Has the current versions of these policies looked for: at once where it is new where to look, else when it is time anyway. */
export async function watchCurrent(
  ledger: Ledger,
  watched: readonly { readonly policyUid: string; readonly spec: unknown }[],
): Promise<void> {
  if (watched.length === 0) return;
  await ledger.query(
    `INSERT INTO rotor.current_looks AS l (policy_uid, spec)
     SELECT w."policyUid", w.spec FROM jsonb_to_recordset($1::jsonb) AS w ("policyUid" uuid, spec jsonb)
     ON CONFLICT (policy_uid) DO UPDATE SET spec = excluded.spec, look_at = clock_timestamp(), tries = 0
      WHERE l.spec <> excluded.spec`,
    [JSON.stringify(watched)],
    'watch-current',
  );
}

/**
 * Takes policies whose look is due, each for one worker, which has `holdMs` for it.
 * @param policyUids undefined: any
 */
export async function claimCurrentLooks<Spec>(
  ledger: Ledger,
  limit: number,
  holdMs: number,
  policyUids?: readonly string[],
): Promise<readonly CurrentLook<Spec>[]> {
  return ledger.query<CurrentLook<Spec> & Record<string, unknown>>(
    `UPDATE rotor.current_looks l SET look_at = clock_timestamp() + $2 * interval '1 millisecond'
       FROM (SELECT policy_uid FROM rotor.current_looks
              WHERE look_at <= clock_timestamp() AND ($3::uuid[] IS NULL OR policy_uid = ANY ($3))
              ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
       JOIN rotor.policies p ON p.uid = due.policy_uid
      WHERE l.policy_uid = due.policy_uid
     RETURNING l.policy_uid AS "policyUid", p.namespace || '/' || p.name AS policy, l.spec, l.tries,
               EXISTS (SELECT FROM rotor.rotations r WHERE r.holds = l.policy_uid) AS rotating`,
    [limit, holdMs, policyUids ?? null],
    'claim-current-looks',
  );
}

/** Ends a look. @param problem why it failed, in words; undefined: it went well */
export async function endCurrentLook(
  ledger: Ledger,
  policyUid: string,
  againInMs: number,
  problem: string | undefined,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.current_looks
        SET look_at = clock_timestamp() + $2 * (0.9 + random() * 0.2) * interval '1 millisecond', problem = $3,
            tries = CASE WHEN $3::text IS NULL THEN 0 ELSE tries + 1 END, looked_at = clock_timestamp()
      WHERE policy_uid = $1`,
    [policyUid, againInMs, problem ?? null],
    'end-current-look',
  );
}

/** A version that is current where it is kept. */
export interface FoundVersion {
  readonly id: string;
  readonly identity: string;
  /** Keyed, hexadecimal. */
  readonly fingerprint: string;
}

/** Whether a version of the policy is on record as current, with the fingerprint by which its leak is known. */
export async function isKnownCurrent(ledger: Ledger, policyUid: string, id: string): Promise<boolean> {
  const rows = await ledger.query(
    `SELECT FROM rotor.credential_versions
      WHERE id = $2 AND policy_uid = $1 AND fingerprint IS NOT NULL AND (state <> 'discarded' OR compromised)`,
    [policyUid, id],
    'known-current',
  );
  return rows.length > 0;
}

/**
 * Puts a version on record that no rotation made. Another one that was found before, and that no rotation has used, was replaced by
 * somebody: nobody is to log in with it any more. Changes nothing while a rotation is open.
 * @returns whether it was news
 */
export async function recordFound(
  ledger: Ledger,
  policyUid: string,
  { id, identity, fingerprint }: FoundVersion,
  actor: string,
): Promise<boolean> {
  const rows = await ledger.query(
    `WITH free AS (
       SELECT uid FROM rotor.policies p
        WHERE uid = $1 AND NOT EXISTS (SELECT FROM rotor.rotations r WHERE r.holds = p.uid)),
     replaced AS (
       UPDATE rotor.credential_versions v SET state = 'discarded' FROM free
        WHERE v.policy_uid = free.uid AND v.found_at IS NOT NULL AND v.state = 'current' AND v.id <> $2
          AND NOT EXISTS (SELECT FROM rotor.rotations r WHERE r.policy_uid = free.uid AND v.id IN (r.old_version, r.new_version))),
     found AS (
       INSERT INTO rotor.credential_versions AS v (id, policy_uid, state, identity, fingerprint, current_at, found_at)
       SELECT $2, uid, 'current', $3, decode($4, 'hex'), clock_timestamp(), clock_timestamp() FROM free
       ON CONFLICT (id) DO UPDATE
          SET state = CASE WHEN v.state = 'discarded' AND v.found_at IS NOT NULL THEN 'current' ELSE v.state END,
              fingerprint = coalesce(v.fingerprint, excluded.fingerprint)
        WHERE v.policy_uid = excluded.policy_uid
       RETURNING v.id)
     INSERT INTO rotor.audit (actor, action, subject, detail)
     SELECT $5, 'credential.found', 'credential/' || id, jsonb_build_object('policyUid', $1::uuid, 'identity', $3::text) FROM found
     RETURNING id`,
    [policyUid, id, identity, fingerprint, actor],
    'record-found',
  );
  return rows.length > 0;
}
