/**
 * Events in a queue of SQS, with the real client against moto: taken once, whoever dies in between.
 */
import { randomUUID } from 'node:crypto';
import { SQS } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { listIncidents } from '../../ledger/incidents.ts';
import { listRotations } from '../../ledger/rotations.ts';
import { type Polling, pollQueue } from '../../orchestrator/intake/sqs/poll.ts';
import { sqsSettings } from '../../orchestrator/intake/sqs/settings.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { type AwsFront, denied, startAwsFront } from '../doubles/aws/front.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { applyText, orchestratorOf, tickAt } from '../setup/orchestrator.ts';

const { skipped } = findMoto();
let moto: Moto;
let front: AwsFront;
let sqs: SQS;
let test_: TestLedger;
let polling: Polling[] = [];

beforeAll(async () => {
  if (skipped) return;
  moto = await startMoto();
  front = await startAwsFront(moto.port);
  Object.assign(process.env, awsEnvironment(front.url));
  sqs = new SQS({ endpoint: moto.url });
  test_ = await freshLedger();
});
afterEach(async () => {
  await Promise.all(polling.map((each) => each.stop()));
  polling = [];
});
afterAll(async () => {
  await test_?.drop();
  await front?.stop();
  await moto?.stop();
});

/** A queue, its address behind the front, and what follows a message that nobody could read twice. */
async function aQueue(): Promise<{ url: string; direct: string; dead: string }> {
  const name = `q-${randomUUID().slice(0, 8)}`;
  const dead = (await sqs.createQueue({ QueueName: `${name}-dead` })).QueueUrl ?? '';
  const { Attributes } = await sqs.getQueueAttributes({ QueueUrl: dead, AttributeNames: ['QueueArn'] });
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 2 });
  const made = await sqs.createQueue({ QueueName: name, Attributes: { RedrivePolicy } });
  const direct = made.QueueUrl ?? '';
  return { url: direct.replace(moto.url, front.url), direct, dead };
}

/** Listens as a process does; one with `diesAt` never gets past that point. */
function listen(url: string, { diesAt, log }: { diesAt?: string; log?: Orchestrator['log'] } = {}) {
  const reached: string[] = [];
  const faults = {
    reach: async (point: string) => {
      reached.push(point);
      if (point === diesAt) await new Promise(() => undefined);
    },
  };
  const orchestrator = { ...orchestratorOf(test_.ledger), faults, ...(log ? { log } : {}) };
  const settings = sqsSettings.parse({ url, visibility: '1s', region: 'eu-central-1' });
  const running = pollQueue(orchestrator, { name: 'aws', settings });
  if (!diesAt) polling.push(running);
  return reached;
}

async function aPolicy(): Promise<string> {
  const name = `p-${randomUUID().slice(0, 8)}`;
  await applyText(
    orchestratorOf(test_.ledger),
    `
apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: aws }
spec: { awsSecretsManager: { prefix: prod/ } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: ${name} }
spec: { credential: { random: {} }, store: { name: aws, path: ${name} } }`,
  );
  return name;
}

const rotateSecret = (name: string) =>
  JSON.stringify({
    id: randomUUID(),
    source: 'aws.secretsmanager',
    region: 'eu-central-1',
    detail: { eventName: 'RotateSecret', requestParameters: { secretId: `prod/${name}` } },
  });
const wrapped = (event: string) =>
  JSON.stringify({
    Type: 'Notification',
    MessageId: randomUUID(),
    TopicArn: 'arn:aws:sns:x',
    Message: event,
  });

/** Messages that are there, hidden ones included. */
async function left(url: string): Promise<number> {
  const { Attributes } = await sqs.getQueueAttributes({ QueueUrl: url, AttributeNames: ['All'] });
  return (
    Number(Attributes?.ApproximateNumberOfMessages) +
    Number(Attributes?.ApproximateNumberOfMessagesNotVisible)
  );
}
const emptied = (url: string) => expect.poll(() => left(url), { timeout: 20_000 }).toBe(0);
const rotationsOf = async (name: string) => {
  await tickAt(orchestratorOf(test_.ledger));
  return listRotations(test_.ledger, { policy: `default/${name}` });
};

describe.skipIf(skipped !== '')(`a queue of SQS${skipped}`, { timeout: 60_000 }, () => {
  test('makes policies rotate, by events and by notifications of SNS, each once', async () => {
    const { url, direct } = await aQueue();
    const [one, two] = [await aPolicy(), await aPolicy()];
    const event = rotateSecret(two);
    for (const MessageBody of [rotateSecret(one), wrapped(event), event, wrapped(event)])
      await sqs.sendMessage({ QueueUrl: direct, MessageBody });
    listen(url);
    listen(url);
    await emptied(direct);
    expect(await rotationsOf(one)).toMatchObject([{ trigger: 'event', requestedBy: 'queue/aws' }]);
    expect(await rotationsOf(two)).toHaveLength(1);
  });

  test.each(['queue:received', 'intake:requested', 'queue:deleting'])(
    'whoever dies at %s loses nothing, and nothing is done twice',
    async (diesAt) => {
      const { url, direct } = await aQueue();
      const name = await aPolicy();
      await sqs.sendMessage({ QueueUrl: direct, MessageBody: rotateSecret(name) });
      const reached = listen(url, { diesAt });
      await expect.poll(() => reached, { timeout: 20_000 }).toContain(diesAt);
      expect(await left(direct)).toBe(1);
      listen(url);
      await emptied(direct);
      expect(await rotationsOf(name)).toHaveLength(1);
      const asked = await test_.ledger.query(
        `SELECT FROM rotor.audit WHERE action = 'rotation.asked-for' AND subject = 'policy/default/' || $1`,
        [name],
      );
      expect(asked).toHaveLength(1);
    },
  );

  test('has incidents in it as a webhook has', async () => {
    const { url, direct } = await aQueue();
    const finding = {
      id: randomUUID(),
      source: 'aws.guardduty',
      detail: {
        type: 'CredentialAccess:X',
        id: 'f',
        resource: { accessKeyDetails: { accessKeyId: 'AKIA1' } },
      },
    };
    for (const body of [wrapped(JSON.stringify(finding)), JSON.stringify(finding), JSON.stringify(finding)])
      await sqs.sendMessage({ QueueUrl: direct, MessageBody: body });
    listen(url);
    await emptied(direct);
    const opened = await listIncidents(test_.ledger, 10);
    expect(opened.map(({ openedBy }) => openedBy)).toEqual(['queue/aws', 'queue/aws']);
  });

  test('keeps what nobody can read for its own redrive policy, and lets the rest through', async () => {
    const { url, direct, dead } = await aQueue();
    const name = await aPolicy();
    for (const MessageBody of ['poison', rotateSecret(name)])
      await sqs.sendMessage({ QueueUrl: direct, MessageBody });
    listen(url);
    await expect.poll(() => left(dead), { timeout: 30_000 }).toBe(1);
    expect(await left(direct)).toBe(0);
    expect(await rotationsOf(name)).toHaveLength(1);
  });

  test('that may not be read is told by the permission, and listened to when it is granted', async () => {
    const { url, direct } = await aQueue();
    const name = await aPolicy();
    const told: string[] = [];
    const silent = orchestratorOf(test_.ledger).log;
    const log = Object.assign(Object.create(silent), {
      warn: ({ err }: { err?: Error & { hint?: string } }) => told.push(`${err?.message} ${err?.hint}`),
    });
    front.answer('ReceiveMessage', denied('sqs:receivemessage', 'arn:aws:sqs:eu-central-1:123456789012:q'));
    await sqs.sendMessage({ QueueUrl: direct, MessageBody: rotateSecret(name) });
    listen(url, { log });
    await emptied(direct);
    expect(told.join('\n')).toMatch(
      /the orchestrator lacks sqs:ReceiveMessage on arn:aws:sqs:eu-central-1:123456789012:q .*docs\/events\.md/,
    );
    expect(await rotationsOf(name)).toHaveLength(1);
  });

  test('stops at once, in the middle of a long wait', async () => {
    const { url, direct } = await aQueue();
    listen(url);
    await expect.poll(() => front.seen.at(-1)).toBeDefined();
    const [running] = polling;
    await running?.stop();
    await sqs.sendMessage({ QueueUrl: direct, MessageBody: 'later' });
    expect(await left(direct)).toBe(1);
  });
});
