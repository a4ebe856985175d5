import { describe, expect, test } from 'vitest';
import { awsFields } from '../../core/aws/spec.ts';
import { versionIdOf } from '../foreign-ids.ts';
import { awsError } from './errors.ts';

const asked = { action: 'secretsmanager:PutSecretValue', object: 'secret shop/app' };

function answer(name: string, httpStatusCode: number, message = 'a text of AWS', headers = {}): Error {
  const $metadata = { httpStatusCode, requestId: '0d1c-2b' };
  return Object.assign(new Error(message), { name, $metadata, $response: { headers } });
}

function broken(code: string, name = 'Error'): Error {
  return Object.assign(new Error('a text of Node'), { name, code });
}

describe('what AWS answers becomes one family', () => {
  test.each([
    ['ThrottlingException', 400, 'store.throttled', 'retryable'],
    ['TooManyUpdates', 400, 'store.throttled', 'retryable'],
    ['SomethingNew', 429, 'store.throttled', 'retryable'],
    ['AccessDeniedException', 400, 'store.permission-denied', 'terminal'],
    ['UnrecognizedClientException', 400, 'store.refused', 'terminal'],
    ['ExpiredTokenException', 400, 'store.refused', 'retryable'],
    ['InvalidSignatureException', 400, 'store.refused', 'retryable'],
    ['DecryptionFailure', 400, 'store.unavailable', 'retryable'],
    ['InternalServiceError', 500, 'store.unavailable', 'ambiguous'],
    ['ServiceUnavailable', 503, 'store.unavailable', 'ambiguous'],
    ['ValidationException', 400, 'store.unavailable', 'terminal'],
  ])('%s (%i): %s, %s', (name, status, code, kind) => {
    const error = awsError(answer(name, status), asked);
    expect(error).toMatchObject({ code, kind });
    expect(error.message).toContain(
      `secret shop/app: AWS answered ${name} to ${asked.action} (request 0d1c-2b)`,
    );
    expect(error.message).not.toContain('a text of AWS');
  });
});

describe('no answer: whether the request was sent decides', () => {
  test.each([
    ['ECONNREFUSED', 'retryable'],
    ['ENOTFOUND', 'retryable'],
    ['ECONNRESET', 'ambiguous'],
    ['EPIPE', 'ambiguous'],
    ['ETIMEDOUT', 'ambiguous'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'terminal'],
  ])('%s: %s', (code, kind) => {
    expect(awsError(broken(code), asked)).toMatchObject({ code: 'store.unavailable', kind });
  });
  test('no credentials at all may pass, no region may not', () => {
    expect(awsError(broken('', 'CredentialsProviderError'), asked)).toMatchObject({
      code: 'store.refused',
      kind: 'retryable',
    });
    expect(awsError(new Error('Region is missing'), asked)).toMatchObject({ code: 'config.invalid' });
  });
});

test('how long AWS asks to wait is kept, in milliseconds', () => {
  const throttled = answer('ThrottlingException', 400, '', { 'retry-after': '3' });
  expect(awsError(throttled, asked).retryAfterMs).toBe(3_000);
  expect(awsError(answer('ThrottlingException', 400), asked).retryAfterMs).toBeUndefined();
});

test('an explicit deny is told from a permission that nobody gave', () => {
  const text =
    'User: arn:aws:iam::123456789012:user/x is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-central-1:123456789012:key/1 with an explicit deny in a resource-based policy';
  const error = awsError(answer('AccessDeniedException', 400, text), asked);
  expect(error.message).toContain(
    'the workers lack kms:Decrypt on arn:aws:kms:eu-central-1:123456789012:key/1',
  );
  expect(error.hint).toContain('denies kms:Decrypt explicitly');
});

test('ids of AWS stay, others are derived: always the same, and different for each path', () => {
  const uuid = '0b6b1f0e-5f0a-4f6e-9d0a-3c1c8d4e2a11';
  expect(versionIdOf('shop/app', uuid)).toBe(uuid);
  const derived = versionIdOf('shop/app', 'terraform-1');
  expect(derived).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(versionIdOf('shop/app', 'terraform-1')).toBe(derived);
  expect(versionIdOf('shop/other', 'terraform-1')).not.toBe(derived);
});

test.each([
  ['https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com', true],
  ['http://127.0.0.1:5000', true],
  ['http://localhost:4566', true],
  ['http://secrets.example.com', false],
  ['https://user:password@secrets.example.com', false],
  ['ftp://127.0.0.1', false],
])('an endpoint %s: %s', (endpoint, fine) => {
  expect(awsFields.endpoint.safeParse(endpoint).success).toBe(fine);
});
