import { describe, expect, test } from 'vitest';
import { readAwsEvent } from './aws-events.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1B2c3';
const ROLE = 'arn:aws:iam::123456789012:role/rotor';
const around = {
  version: '0',
  id: 'e-1',
  account: '123456789012',
  region: 'eu-central-1',
  time: '2026-06-01T12:00:00Z',
};

function rotateSecret(detail: object): string {
  return JSON.stringify({
    ...around,
    'detail-type': 'AWS API Call via CloudTrail',
    source: 'aws.secretsmanager',
    detail: {
      eventSource: 'secretsmanager.amazonaws.com',
      eventName: 'RotateSecret',
      eventTime: '2026-06-01T11:59:58Z',
      awsRegion: 'eu-central-1',
      userIdentity: { type: 'AssumedRole', arn: 'arn:aws:sts::123456789012:assumed-role/ops/alice' },
      requestParameters: { secretId: ARN, clientRequestToken: 'x' },
      responseElements: null,
      ...detail,
    },
  });
}

function parameter(detail: object, type = 'Parameter Store Policy Action'): string {
  return JSON.stringify({
    ...around,
    'detail-type': type,
    source: 'aws.ssm',
    detail: { 'parameter-name': '/prod/db', 'policy-type': 'ExpirationNotification', ...detail },
  });
}

const read = (message: string) => readAwsEvent(message, 'm-1', { ignoreFrom: [ROLE] });

describe('EventBridge asks for a rotation', () => {
  test('by RotateSecret, whose secret is named by ARN', () => {
    expect(read(rotateSecret({}))).toMatchObject({
      kind: 'rotations',
      deliveryId: 'm-1',
      requests: [
        {
          storeKind: 'awsSecretsManager',
          names: ['prod/db', 'prod/db-a1B2c3'],
          within: { region: 'eu-central-1', account: '123456789012' },
          key: 'aws:e-1',
          at: new Date('2026-06-01T11:59:58Z'),
          by: 'arn:aws:sts::123456789012:assumed-role/ops/alice',
        },
      ],
    });
  });

  test.each([
    ['a name', { requestParameters: { secretId: 'prod/db' } }],
    ['one without a function of AWS', { errorCode: 'InvalidRequestException' }],
  ])('by RotateSecret of %s', (_name, detail) =>
    expect(read(rotateSecret(detail))).toMatchObject({
      requests: [{ names: ['prod/db'].concat('errorCode' in detail ? ['prod/db-a1B2c3'] : []) }],
    }),
  );

  test.each(['ExpirationNotification', 'NoChangeNotification'])('by a parameter’s %s', (type) =>
    expect(read(parameter({ 'policy-type': type }))).toMatchObject({
      requests: [{ storeKind: 'awsParameterStore', names: ['/prod/db'], type }],
    }),
  );
});

describe('EventBridge asks for nothing', () => {
  test.each([
    ['by what Rotor does in every rotation', rotateSecret({ eventName: 'PutSecretValue' })],
    ['by moving a label', rotateSecret({ eventName: 'UpdateSecretVersionStage' })],
    ['by a call that was refused', rotateSecret({ errorCode: 'AccessDenied' })],
    [
      'by a change of the schedule',
      rotateSecret({ requestParameters: { secretId: ARN, rotateImmediately: false } }),
    ],
    [
      'by a role that is ignored',
      rotateSecret({ userIdentity: { sessionContext: { sessionIssuer: { arn: ROLE } } } }),
    ],
    ['without a name', rotateSecret({ requestParameters: null })],
    ['by a parameter that has expired and is gone', parameter({ 'policy-type': 'Expiration' })],
    ['by a parameter that was written', parameter({}, 'Parameter Store Change')],
  ])('%s', (_name, message) => expect(read(message).kind).toBe('nothing'));
});
