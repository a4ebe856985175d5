import type { Ledger } from './database.ts';

/**
 * Notes that a request for a rotation is answered by `rotationId`, in the transaction that creates the rotation. Others
 * who answer the same request wait until that ends.
 * @param key what makes the request itself, such as the token that came with it
 * @returns false when it was answered before
 */
export async function answerRequest(
  ledger: Ledger,
  policyUid: string,
  key: string,
  rotationId: string,
): Promise<boolean> {
  const rows = await ledger.query(
    `INSERT INTO rotor.rotation_requests (policy_uid, key, rotation_id) VALUES ($1, $2, $3)
     ON CONFLICT DO NOTHING RETURNING key`,
    [policyUid, key, rotationId],
    'answer-request',
  );
  return rows.length === 1;
}

/** Whether the request was answered. */
export async function isAnswered(ledger: Ledger, policyUid: string, key: string): Promise<boolean> {
  const rows = await ledger.query(
    'SELECT FROM rotor.rotation_requests WHERE policy_uid = $1 AND key = $2',
    [policyUid, key],
    'is-answered',
  );
  return rows.length === 1;
}
