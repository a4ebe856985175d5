import { expect, test } from 'vitest';
import { readQueueMessage } from './message.ts';
import { regionOf } from './settings.ts';

const event = (id?: string) => ({
  ...(id ? { id } : {}),
  source: 'aws.secretsmanager',
  detail: { eventName: 'RotateSecret', requestParameters: { secretId: 'prod/db' } },
});
const sns = (inner: unknown, Type = 'Notification') => ({
  Type,
  MessageId: 'n-1',
  TopicArn: 'arn:aws:sns:eu-central-1:123456789012:secrets',
  Message: JSON.stringify(inner),
});
const read = (body: unknown) =>
  readQueueMessage(typeof body === 'string' ? body : JSON.stringify(body), 'm-1', []);

test.each([
  ['an event of EventBridge, by its id', event('e-1'), 'e-1', 'aws:e-1'],
  ['an event without an id, by that of the message', event(), 'm-1', 'aws:m-1'],
  ['a notification of SNS, by its id', sns(event('e-1')), 'n-1', 'aws:e-1'],
])('a queue has %s', (_name, body, deliveryId, key) =>
  expect(read(body)).toMatchObject({
    kind: 'rotations',
    deliveryId,
    requests: [{ key, names: ['prod/db'] }],
  }),
);

test('an incident in it is read as the webhook reads it', () => {
  const finding = {
    source: 'aws.guardduty',
    detail: { type: 'CredentialAccess:X', resource: { accessKeyDetails: { accessKeyId: 'AKIA1' } } },
  };
  expect(read(sns(finding))).toMatchObject({
    kind: 'reports',
    reports: [{ hints: { accessKeyId: 'AKIA1' } }],
  });
});

test.each([['hello'], ['[1]'], [{ some: 'object' }], [sns(event(), 'SubscriptionConfirmation')], [sns({})]])(
  '%j can’t be read, and is quoted nowhere',
  (body) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ code: 'hook.malformed' }));
  },
);

test.each([
  ['https://sqs.eu-west-1.amazonaws.com/123456789012/rotor', 'eu-west-1'],
  ['https://sqs.cn-north-1.amazonaws.com.cn/123456789012/rotor', 'cn-north-1'],
  ['https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/rotor', undefined],
])('%s is in %s', (url, region) => expect(regionOf({ url })).toBe(region));
