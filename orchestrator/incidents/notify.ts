import { asRotorError, RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import { backoffMs, Deadline } from '../../core/retry.ts';
import { secretIn } from '../../core/secret-file.ts';
import { type DueMessage, messageFailed, messageSent, takeMessages } from '../../ledger/messages.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { mailTo } from './mail.ts';
import type { Notification } from './runbook-schema.ts';
import { signed } from './signed.ts';

const BATCH = 50;
const SEND_MS = 10_000;
const BACKOFF = { baseMs: 1_000, maxMs: 300_000 } as const;

type Due = DueMessage<Notification>;

/** Sends what runbooks have to tell. At least once: the receiver knows a repetition by its id. */
export async function sendMessages(orchestrator: Orchestrator): Promise<void> {
  const { ledger, random, log } = orchestrator;
  const due = await takeMessages<Notification>(ledger, BATCH);
  await Promise.all(
    due.map(async (message) => {
      try {
        await send(orchestrator, message);
        await orchestrator.faults?.reach(`notify:${message.moment}:performed`);
        await messageSent(ledger, message.id);
        await orchestrator.faults?.reach(`notify:${message.moment}:recorded`);
      } catch (thrown) {
        const error = asRotorError(thrown, 'a notification');
        log.warn({ err: error, incident: message.incidentId }, 'a notification failed; it is repeated');
        const inMs = backoffMs(message.tries, BACKOFF, random.int(1_000) / 1_000);
        await messageFailed(ledger, message.id, `${error.code}: ${error.toJSON().what}`, inMs);
      }
    }),
  );
}

async function send({ clock }: Orchestrator, message: Due): Promise<void> {
  const { webhook, slack, smtp } = message.target;
  const deadline = Deadline.after(SEND_MS, clock);
  if (webhook) {
    const body = JSON.stringify({
      type: `rotor.incident.${message.moment}`,
      timestamp: message.at,
      data: factsOf(message),
    });
    const headers = signed(
      message.id,
      Math.floor(clock.now().getTime() / 1_000),
      body,
      await secretIn(webhook.secretFrom.file, 'the secret of a notification'),
    );
    assertTaken(
      await httpRequest(deadline, { url: webhook.url, method: 'POST', headers, body }),
      webhook.url,
    );
  }
  if (slack) {
    const url = await secretIn(slack.urlFrom.file, 'the secret of a notification');
    const answer = await httpRequest(deadline, {
      url: url.reveal(),
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: textOf(message) }),
    });
    assertTaken(answer, 'the Slack webhook');
  }
  if (smtp)
    await mailTo(deadline, smtp, {
      id: message.id,
      subject: `Rotor, ${message.policy}: ${message.moment}`,
      text: `${textOf(message)}\n\nat ${message.at.toISOString()}\n`,
    });
}

function factsOf({ incidentId, policy, moment, at, reason }: Due) {
  return { incident: incidentId, policy, moment, at, ...(reason === null ? {} : { reason }) };
}

const TEXTS = {
  opened: 'a credential has leaked; it is being replaced',
  approval: 'the answer to a leak waits for people to approve it',
  contained: 'the leaked credential is refused now',
  proven: 'the leaked credential is dead, and proven so; consumers have a new one',
  failed: 'the leaked credential could NOT be replaced: somebody has to look',
} as const;

export function textOf({
  incidentId,
  policy,
  moment,
  reason,
}: Pick<Due, 'incidentId' | 'policy' | 'moment' | 'reason'>): string {
  const why = reason === null ? '' : ` (${reason})`;
  const command =
    moment === 'approval' ? `approve incident/${incidentId}` : `describe incident ${incidentId}`;
  return `Rotor, ${policy}: ${TEXTS[moment]}${why}. rotor ${command}`;
}

function assertTaken({ status }: { readonly status: number }, where: string): void {
  if (status >= 200 && status < 300) return;
  const host = URL.canParse(where) ? new URL(where).host : where;
  throw new RotorError('provider.unreachable', { what: `${host} answers ${status} to a notification` });
}
