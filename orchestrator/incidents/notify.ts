import { readFile } from 'node:fs/promises';
import { asRotorError, foreignCode, RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import { backoffMs, Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { standardSignature } from '../../core/standard-webhooks.ts';
import { type Message, messageFailed, messageSent, takeMessages } from '../../ledger/messages.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import type { Notification } from './runbook.ts';

const BATCH = 50;
const SEND_MS = 10_000;
const BACKOFF = { baseMs: 1_000, maxMs: 300_000 } as const;

type Due = Message<Notification> & { readonly policy: string; readonly at: Date };

/** Sends what runbooks have to tell. At least once: the receiver knows a repetition by its id. */
export async function sendMessages(orchestrator: Orchestrator): Promise<void> {
  const { ledger, random, log } = orchestrator;
  const due = await takeMessages<Notification>(ledger, BATCH);
  await Promise.all(
    due.map(async (message) => {
      try {
        await send(orchestrator, message);
        await messageSent(ledger, message.id);
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
  const { webhook, slack } = message.target;
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
      await secretIn(webhook.secretFrom.file),
    );
    assertTaken(
      await httpRequest(deadline, { url: webhook.url, method: 'POST', headers, body }),
      webhook.url,
    );
  }
  if (slack) {
    const url = await secretIn(slack.urlFrom.file);
    const answer = await httpRequest(deadline, {
      url: url.reveal(),
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: textOf(message) }),
    });
    assertTaken(answer, 'the Slack webhook');
  }
}

function factsOf({ incidentId, policy, moment, at }: Due) {
  return { incident: incidentId, policy, moment, at };
}

const TEXTS = {
  opened: 'a credential has leaked; it is being replaced',
  contained: 'the leaked credential is refused now',
  proven: 'the leaked credential is dead, and proven so; consumers have a new one',
  failed: 'the leaked credential could NOT be replaced: somebody has to look',
} as const;

export function textOf({
  incidentId,
  policy,
  moment,
}: Pick<Due, 'incidentId' | 'policy' | 'moment'>): string {
  return `Rotor, ${policy}: ${TEXTS[moment]}. rotor describe incident ${incidentId}`;
}

/** As Standard Webhooks have it. */
export function signed(
  id: string,
  timestamp: number,
  body: string,
  secret: SecretValue,
): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    ...standardSignature(id, timestamp, SecretValue.of(body), secret),
  };
}

function assertTaken({ status }: { readonly status: number }, where: string): void {
  if (status >= 200 && status < 300) return;
  const host = URL.canParse(where) ? new URL(where).host : where;
  throw new RotorError('provider.unreachable', { what: `${host} answers ${status} to a notification` });
}

async function secretIn(file: string): Promise<SecretValue> {
  try {
    return SecretValue.of((await readFile(file, 'utf8')).trim());
  } catch (error) {
    throw new RotorError('reference.unresolved', {
      what: `the secret of a notification: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  }
}
