import type { Ledger } from './database.ts';

/**
 * Holds a target until the transaction ends: a report that joins it waits, and one that has joined it is seen.
 */
export async function lockTarget(ledger: Ledger, incidentId: string, policyUid: string): Promise<void> {
  await ledger.query(
    'SELECT FROM rotor.incident_targets WHERE incident_id = $1 AND policy_uid = $2 FOR UPDATE',
    [incidentId, policyUid],
    'lock-target',
  );
}

/** Has steps of a kind done once more for the open targets of these policies, which a report has joined after they were done. */
export async function reopenSteps(
  ledger: Ledger,
  policyUids: readonly string[],
  kind: string,
): Promise<void> {
  await ledger.query(
    `WITH again AS (
       UPDATE rotor.incident_steps s
          SET state = 'waiting', tries = 0, next_at = clock_timestamp(), ended_at = NULL, error = NULL
         FROM rotor.incident_targets t
        WHERE t.policy_uid = ANY ($1) AND t.ended_at IS NULL AND s.incident_id = t.incident_id AND s.policy_uid = t.policy_uid
          AND s.kind = $2 AND s.state IN ('done', 'failed')
       RETURNING s.incident_id, s.policy_uid)
     UPDATE rotor.incident_targets t
        -- Who is at another step comes by this one; who was about to find nothing left has to look again.
        SET steps_at = CASE WHEN EXISTS (SELECT FROM rotor.incident_steps o
                                          WHERE o.incident_id = t.incident_id AND o.policy_uid = t.policy_uid AND o.state = 'waiting'
                                            AND o.kind IN ('approve', 'custom', 'evidence', 'resolve'))
                            THEN coalesce(t.steps_at, clock_timestamp()) ELSE clock_timestamp() END
       FROM again a WHERE t.incident_id = a.incident_id AND t.policy_uid = a.policy_uid`,
    [policyUids, kind],
    'reopen-steps',
  );
}
