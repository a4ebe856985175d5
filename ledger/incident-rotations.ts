import type { Ledger } from './database.ts';
import type { NewRotation } from './rotations.ts';

/**
 * Creates queued rotations and their audit rows, all at once.
 * @param wakeInMs none begins before that, unless it is let go earlier
 * @returns the ids of those that were created: a policy that has an open rotation gets no other
 */
export async function createRotations(
  ledger: Ledger,
  rotations: readonly NewRotation[],
  wakeInMs: number | undefined,
): Promise<readonly string[]> {
  const rows = await ledger.query<{ id: string }>(
    `WITH created AS (
       INSERT INTO rotor.rotations (id, policy_uid, holds, policy, provider, trigger, requested_by, spec, trace, deadline_at, wake_at)
       SELECT n.id, p.uid, p.uid, p.namespace || '/' || p.name, n.provider, n.trigger, n."requestedBy", n.spec, n.trace,
              clock_timestamp() + n."deadlineMs" * interval '1 millisecond', clock_timestamp() + $2 * interval '1 millisecond'
         FROM jsonb_to_recordset($1::jsonb) AS n (id uuid, "policyUid" uuid, provider text, trigger text, "requestedBy" text,
                                                  spec jsonb, trace text, "deadlineMs" double precision)
         JOIN rotor.policies p ON p.uid = n."policyUid"
       ON CONFLICT DO NOTHING
       RETURNING id, policy, requested_by, trigger),
     audited AS (
       INSERT INTO rotor.audit (actor, action, subject, detail)
       SELECT requested_by, 'rotation.requested', 'rotation/' || id, jsonb_build_object('policy', policy, 'trigger', trigger)
         FROM created)
     SELECT id FROM created`,
    [JSON.stringify(rotations), wakeInMs ?? null],
    'create-rotations',
  );
  return rows.map(({ id }) => id);
}

/** Lets queued rotations begin now that were to begin later. */
export async function letGo(ledger: Ledger, ids: readonly string[]): Promise<void> {
  await ledger.query(
    `UPDATE rotor.rotations SET wake_at = NULL WHERE id = ANY ($1) AND state = 'queued' AND wake_at IS NOT NULL`,
    [ids],
    'let-go-rotations',
  );
}

/** Ends the wait of an open rotation that an incident has met; its holder, if any, learns of it before it waits again. */
export async function hurryRotation(ledger: Ledger, id: string): Promise<void> {
  await ledger.query(
    `UPDATE rotor.rotations SET hurried = true, wake_at = NULL
      WHERE id = $1 AND NOT hurried AND state IN ('queued', 'running', 'waiting')`,
    [id],
    'hurry-rotation',
  );
}

/**
 * Has an open rotation move the consumers of all waves at once, from its next turn on: those who answer for a leak don't
 * wait for each other.
 * @param deadlineMs from now; never later than it was
 */
export async function hastenRotation(
  ledger: Ledger,
  id: string,
  {
    maxMoving,
    deadlineMs,
  }: { readonly maxMoving: number | undefined; readonly deadlineMs: number | undefined },
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.rotations r
        SET spec = CASE WHEN $2::integer IS NULL THEN spec ELSE spec || jsonb_build_object(
              'rollout', jsonb_build_object('maxMoving', $2::integer, 'pauseMs', 0, 'coalesceMs', 0),
              'consumers', (SELECT coalesce(jsonb_agg(each || '{"wave": 0}' ORDER BY place), '[]')
                              FROM jsonb_array_elements(spec -> 'consumers') WITH ORDINALITY AS c (each, place))) END,
            deadline_at = least(deadline_at, clock_timestamp() + $3::float8 * interval '1 millisecond')
      WHERE id = $1 AND state IN ('queued', 'running', 'waiting')`,
    [id, maxMoving ?? null, deadlineMs ?? null],
    'hasten-rotation',
  );
}
