import type { Ledger } from './database.ts';

export type Moment = 'opened' | 'approval' | 'contained' | 'proven' | 'failed';

/** A message that a runbook sends when something happens to a credential of an incident. */
export interface Message<Target = unknown> {
  readonly id: string;
  readonly incidentId: string;
  readonly policyUid: string;
  readonly moment: Moment;
  readonly target: Target;
  readonly tries: number;
}

/** When a message is given up; the error stays with it. */
export const MAX_TRIES = 10;

/**
 * Plans messages; they become due when their moment has come.
 * @param messages `id` is a UUID by which the receiver knows a repetition
 */
export async function planMessages(
  ledger: Ledger,
  messages: readonly Omit<Message, 'tries'>[],
): Promise<void> {
  if (messages.length === 0) return;
  await ledger.query(
    `INSERT INTO rotor.incident_messages (id, incident_id, policy_uid, moment, target)
     SELECT m.id, m."incidentId", m."policyUid", m.moment, m.target
       FROM jsonb_to_recordset($1::jsonb) AS m (id uuid, "incidentId" uuid, "policyUid" uuid, moment text, target jsonb)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(messages)],
    'plan-messages',
  );
}

/** People may approve a step of its target now. */
const APPROVAL_WAITS = `EXISTS (SELECT FROM rotor.incident_steps s WHERE s.incident_id = d.incident_id AND s.policy_uid = d.policy_uid
                                  AND s.kind = 'approve' AND s.state = 'waiting' AND s.began_at IS NOT NULL)`;

/** A message to be sent now. `at` is when its moment came; `reason` why it failed. */
export type DueMessage<Target> = Message<Target> & {
  readonly policy: string;
  readonly at: Date;
  readonly reason: string | null;
};

/** Takes messages whose moment has come, each for a minute and for one sender only. */
export async function takeMessages<Target>(
  ledger: Ledger,
  limit: number,
): Promise<readonly DueMessage<Target>[]> {
  return ledger.query<DueMessage<Target> & Record<string, unknown>>(
    `UPDATE rotor.incident_messages m SET tries = m.tries + 1, next_at = clock_timestamp() + interval '1 minute'
       FROM (SELECT d.id, t.policy, t.reason,
                    CASE d.moment WHEN 'opened' THEN i.opened_at WHEN 'approval' THEN clock_timestamp() WHEN 'contained' THEN t.contained_at ELSE t.ended_at END AS at
               FROM rotor.incident_messages d
               JOIN rotor.incidents i ON i.id = d.incident_id
               JOIN rotor.incident_targets t ON t.incident_id = d.incident_id AND t.policy_uid = d.policy_uid
              WHERE d.sent_at IS NULL AND d.next_at <= clock_timestamp() AND d.tries < ${MAX_TRIES}
                AND CASE d.moment WHEN 'opened' THEN true WHEN 'approval' THEN ${APPROVAL_WAITS} WHEN 'contained' THEN t.contained_at IS NOT NULL
                                  ELSE t.result = d.moment END
              ORDER BY d.next_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED) AS due
      WHERE m.id = due.id
     RETURNING m.id, m.incident_id AS "incidentId", m.policy_uid AS "policyUid", m.moment, m.target, m.tries, due.policy, due.at, due.reason`,
    [limit],
    'take-messages',
  );
}

export async function messageSent(ledger: Ledger, id: string): Promise<void> {
  await ledger.query(
    'UPDATE rotor.incident_messages SET sent_at = clock_timestamp(), error = NULL WHERE id = $1',
    [id],
    'message-sent',
  );
}

/** @param error for people; sent again after `againInMs` unless it was the last try */
export async function messageFailed(
  ledger: Ledger,
  id: string,
  error: string,
  againInMs: number,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_messages SET error = $2, next_at = clock_timestamp() + $3 * interval '1 millisecond' WHERE id = $1`,
    [id, error, againInMs],
    'message-failed',
  );
}

export interface MessageView {
  /** `namespace/name` of the credential's policy. */
  readonly policy: string;
  readonly moment: Moment;
  readonly tries: number;
  readonly sentAt: Date | null;
  readonly error: string | null;
}

/** What became of the messages of an incident that were tried. */
export async function messagesOf(ledger: Ledger, incidentId: string): Promise<readonly MessageView[]> {
  return ledger.query<MessageView & Record<string, unknown>>(
    `SELECT t.policy, m.moment, m.tries, m.sent_at AS "sentAt", m.error
       FROM rotor.incident_messages m JOIN rotor.incident_targets t USING (incident_id, policy_uid)
      WHERE m.incident_id = $1 AND m.tries > 0 ORDER BY m.next_at`,
    [incidentId],
  );
}
