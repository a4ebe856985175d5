import { expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { encodings } from '../../test/setup/encodings.ts';
import { quoted, secretsOf, stepFailed } from './refusal.ts';

const secret = 'pa"ss wörd+1';

test('what a function says is told in one line, and not for ever', () => {
  expect(quoted('Unable to log into\n  database', [SecretValue.of(secret)])).toBe(
    'Unable to log into database',
  );
  expect(quoted('', [])).toBe('it gave no reason');
  expect(quoted('x'.repeat(5_000), []).length).toBeLessThan(500);
});

test.each([...encodings(secret), JSON.stringify(secret)])(
  'unless it holds a secret, such as %s',
  (spelling) => {
    const told = quoted(`connection failed: ${spelling}@db`, [
      SecretValue.of('other'),
      SecretValue.of(secret),
    ]);
    expect(told).toBe('what it said holds a secret and is left out');
  },
);

test('what stood behind it is told first: the store, or a right that is missing', () => {
  const problem = new RotorError('store.permission-denied', {
    what: 'the workers lack secretsmanager:PutSecretValue on secret shop/app',
    hint: 'Allow secretsmanager:PutSecretValue.',
  });
  const error = stepFailed(
    'createSecret of f',
    { errorType: 'ClientError', errorMessage: 'x' },
    { problem, secrets: [] },
  );
  expect(error).toMatchObject({ code: 'store.permission-denied', kind: 'terminal', hint: problem.hint });
  expect(error.message).toContain('secretsmanager:PutSecretValue');
});

test('a store that is throttled leaves open what the function did before', () => {
  const problem = new RotorError('store.throttled', { what: 'slow down', retryAfterMs: 5 });
  expect(
    stepFailed('createSecret of f', { errorType: 'E', errorMessage: 'x' }, { problem, secrets: [] }),
  ).toMatchObject({ code: 'store.throttled', kind: 'ambiguous', retryAfterMs: 5 });
});

test('secret are the named fields of what it has seen, the password of an admin, and what is no document', () => {
  const handed = [
    '{"username":"app","apiKey":"key-1","port":5432}',
    '{"username":"admin","password":"pw-2"}',
    'pw-3',
  ];
  const found = secretsOf(
    handed.map((text) => SecretValue.of(text)),
    ['apiKey'],
  );
  expect(found.map((value) => value.reveal())).toEqual(['key-1', 'pw-2', 'pw-3']);
});
