import { expect, test } from 'vitest';
import { parseEvent } from './event.ts';

const event = {
  SecretId: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf',
  ClientRequestToken: '6c8f3b0e-0f6f-4c2e-9d0c-1f0b7d0c8a11',
  Step: 'createSecret',
};

test('an event is read as AWS sends it, with the token of rotations across accounts', () => {
  expect(parseEvent(event)).toEqual({
    secretId: event.SecretId,
    versionId: event.ClientRequestToken,
    step: 'createSecret',
    rotationToken: undefined,
  });
  const RotationToken = '0b8f8f6e-8a0e-4a5c-9d5e-2f1f5f1f5f1f';
  expect(parseEvent({ ...event, RotationToken }).rotationToken).toBe(RotationToken);
  expect(parseEvent({ ...event, Something: 'new' }).step).toBe('createSecret');
});

test.each([
  ['no event at all', undefined, 'event'],
  ['no secret', { ...event, SecretId: undefined }, 'SecretId'],
  ['an unknown step', { ...event, Step: 'create_secret' }, 'createSecret'],
  ['a token that is none', { ...event, ClientRequestToken: 'short' }, 'ClientRequestToken'],
])('%s is refused with the name of the field', (_name, wrong, named) => {
  expect(() => parseEvent(wrong)).toThrow(
    expect.objectContaining({ code: 'function.invalid-event', message: expect.stringContaining(named) }),
  );
});
