import { expect, test } from 'vitest';
import { apiError } from './api-errors.ts';

const named = (name: string, message = 'words of AWS') => Object.assign(new Error(message), { name });
const asked = (changes: boolean) => ({ operation: 'PutSecretValue', secretId: 'db', changes });

test.each([
  ['ResourceNotFoundException', 'store.not-found', 'terminal'],
  ['AccessDeniedException', 'store.permission-denied', 'terminal'],
  ['DecryptionFailure', 'store.permission-denied', 'terminal'],
  ['CredentialsProviderError', 'store.refused', 'terminal'],
  ['ExpiredTokenException', 'store.refused', 'terminal'],
  ['InvalidRequestException', 'store.conflict', 'terminal'],
  ['ResourceExistsException', 'store.conflict', 'terminal'],
  ['ThrottlingException', 'store.throttled', 'retryable'],
  ['InternalServiceError', 'store.unavailable', 'ambiguous'],
  ['TimeoutError', 'store.unavailable', 'ambiguous'],
])('%s while changing is %s, %s', (name, code, kind) => {
  expect(apiError(named(name), asked(true))).toMatchObject({ code, kind });
});

test('a question that got no answer has changed nothing', () => {
  expect(apiError(named('TimeoutError'), asked(false))).toMatchObject({ kind: 'retryable' });
});

test('a missing permission is named in the words of AWS, and what to allow', () => {
  const words =
    'User: arn:aws:sts::1:assumed-role/x is not authorized to perform: secretsmanager:PutSecretValue';
  const { message, hint } = apiError(named('AccessDeniedException', words), asked(true));
  expect(message).toContain(words);
  expect(hint).toContain('secretsmanager:PutSecretValue');
});

test('words that may quote what was sent go no further', () => {
  const quoting = named('ValidationException', "Value 'marker-password' at 'secretString' failed");
  const error = apiError(quoting, asked(true));
  expect(JSON.stringify(error)).not.toContain('marker-password');
});
