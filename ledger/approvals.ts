import type { Ledger } from './database.ts';

/** Locks the approvals of an incident that are waited for, so that those who approve at once are counted in turn. */
export async function lockApprovals(ledger: Ledger, incidentId: string): Promise<void> {
  await ledger.query(
    `SELECT id FROM rotor.incident_steps WHERE incident_id = $1 AND kind = 'approve' AND state = 'waiting'
      ORDER BY policy_uid, ordinal FOR UPDATE`,
    [incidentId],
    'lock-approvals',
  );
}

/** Counts a person's approval of a step. @returns false when it was counted before */
export async function addApproval(ledger: Ledger, stepId: string, person: string): Promise<boolean> {
  const rows = await ledger.query(
    `INSERT INTO rotor.incident_approvals (step_id, person) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING person`,
    [stepId, person],
    'add-approval',
  );
  return rows.length === 1;
}
