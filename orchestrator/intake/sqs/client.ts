import type { Message as SqsMessage } from '@aws-sdk/client-sqs';
import { awsConnection } from '../../../core/aws/connection.ts';
import { RotorError } from '../../../core/errors.ts';
import { awsError, exceptionName } from '../../../stores/aws/errors.ts';
import { regionOf, type SqsSettings } from './settings.ts';

/** A message in hand. */
export interface Received {
  readonly messageId: string;
  readonly receipt: string;
  readonly body: string;
  /** How often it was received, this time included. */
  readonly times: number;
}

/** A queue, as far as it is needed. Errors name the permission that is missing. */
export interface Queue {
  /** Waits up to 20 seconds for messages. @throws RotorError */
  receive(signal: AbortSignal): Promise<readonly Received[]>;
  /** @returns the ids of those that couldn't be deleted and come again @throws RotorError */
  remove(messages: readonly Received[]): Promise<readonly string[]>;
  close(): void;
}

/** The longest that SQS waits, and as many as it gives at once ("ReceiveMessage", SQS API reference). */
const WAIT_SECONDS = 20;
const MOST = 10;
/** The answer comes after the wait at the latest, with some time for the way. */
const RECEIVE_MS = (WAIT_SECONDS + 10) * 1_000;
const REMOVE_MS = 15_000;

/** Loads the SDK: only who has a queue pays for it. */
export async function openQueue(settings: SqsSettings): Promise<Queue> {
  const { SQSClient, ReceiveMessageCommand, DeleteMessageBatchCommand } = await import('@aws-sdk/client-sqs');
  const { url, profile, roleArn, externalId, visibility } = settings;
  const region = regionOf(settings);
  const client = new SQSClient(await awsConnection({ region, profile, roleArn, externalId }));
  const failure = (thrown: unknown, action: string) => explained(thrown, action, url);
  return {
    receive: async (signal) => {
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(RECEIVE_MS)]);
      const command = new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: MOST,
        WaitTimeSeconds: WAIT_SECONDS,
        VisibilityTimeout: Math.ceil(visibility / 1_000),
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      });
      const { Messages = [] } = await client.send(command, { abortSignal }).catch((thrown) => {
        throw failure(thrown, 'sqs:ReceiveMessage');
      });
      return Messages.flatMap(receivedOf);
    },
    remove: async (messages) => {
      const command = new DeleteMessageBatchCommand({
        QueueUrl: url,
        Entries: messages.map(({ receipt }, at) => ({ Id: String(at), ReceiptHandle: receipt })),
      });
      const abortSignal = AbortSignal.timeout(REMOVE_MS);
      const { Failed = [] } = await client.send(command, { abortSignal }).catch((thrown) => {
        throw failure(thrown, 'sqs:DeleteMessage');
      });
      return Failed.map(({ Id }) => messages[Number(Id)]?.messageId ?? '');
    },
    close: () => client.destroy(),
  };
}

function receivedOf({ MessageId, ReceiptHandle, Body, Attributes }: SqsMessage): readonly Received[] {
  if (!MessageId || !ReceiptHandle) return [];
  const times = Number(Attributes?.ApproximateReceiveCount ?? 1);
  return [{ messageId: MessageId, receipt: ReceiptHandle, body: Body ?? '', times }];
}

/** What SQS alone answers ("Common errors", SQS API reference), and the rest as all of AWS does. */
function explained(thrown: unknown, action: string, url: string): RotorError {
  const name = exceptionName(thrown) ?? '';
  const object = `queue ${url}`;
  if (/QueueDoesNotExist|NonExistentQueue|InvalidAddress/.test(name))
    return new RotorError('config.invalid', {
      what: `${object}: AWS knows no such queue (${action})`,
      hint: 'Correct `url` and `region` of the queue in ROTOR_HOOKS_FILE and start again.',
    });
  if (name === 'KmsAccessDenied')
    return new RotorError('store.permission-denied', {
      what: `${object}: the orchestrator lacks kms:Decrypt on the key of the queue`,
      hint: 'Allow kms:Decrypt on that key; docs/events.md has the whole policy.',
    });
  return awsError(thrown, { action, object, who: 'the orchestrator', page: 'docs/events.md' });
}
