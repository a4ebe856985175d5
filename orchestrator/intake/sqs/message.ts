import { z } from 'zod';
import { readAwsEvent } from '../aws-events.ts';
import { malformed } from '../proof.ts';
import { maybeWord, readJson, word } from '../reading.ts';
import type { Message } from '../report.ts';

/** An SNS notification as a queue gets it without raw message delivery; other bodies have no `Type`. */
const wrapped = z.object({ Type: z.string(), MessageId: z.string().max(200), Message: z.string() });
const event = z.object({ id: z.string().nullish(), source: z.string() });

/**
 * Reads a message of a queue: an event of EventBridge, or an SNS notification with one in it. It is known again by the id of
 * the notification or the event, so that what is sent twice, or comes by two queues, is one delivery.
 * @throws RotorError `hook.malformed`
 */
export function readQueueMessage(body: string, messageId: string, ignoreFrom: readonly string[]): Message {
  const bytes = Buffer.from(body);
  const around = readJson(bytes, z.looseObject({}));
  if ('Type' in around && 'Message' in around) {
    const { Type, MessageId, Message: inner } = readJson(bytes, wrapped);
    if (Type !== 'Notification')
      throw malformed(`SNS message ${word(Type)}, which nobody confirms by a queue`);
    return readAwsEvent(inner, word(MessageId, messageId), { ignoreFrom });
  }
  const { id } = readJson(bytes, event);
  return readAwsEvent(body, maybeWord(id) ?? messageId, { ignoreFrom });
}
