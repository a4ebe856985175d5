import { expect, test } from 'vitest';
import { type Credential, decodeCredential, encodeCredential, inheriting } from './credential.ts';
import { SecretValue } from './secret.ts';

const format = { identity: 'username', secrets: ['password'] } as const;
const decoded = (document: object) =>
  decodeCredential('v1', SecretValue.of(JSON.stringify(document)), format);
const fresh: Credential = {
  versionId: 'v2',
  identity: 'app_green',
  fields: { engine: 'postgres', host: 'db', port: '5432', username: 'app_green' },
  secrets: { password: SecretValue.of('new-password') },
};
const written = (credential: Credential) => JSON.parse(encodeCredential(credential).reveal());

test('the new version keeps the fields that only others know, and every type', () => {
  const old = decoded({
    engine: 'postgres',
    host: 'old-db',
    port: 5432,
    username: 'app_blue',
    password: 'old-password',
    masterarn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin',
    ssl: true,
    poolSize: 10,
  });
  expect(written(inheriting(fresh, old))).toEqual({
    engine: 'postgres',
    host: 'db',
    port: 5432,
    username: 'app_green',
    password: 'new-password',
    masterarn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin',
    ssl: true,
    poolSize: 10,
  });
});

test('what no longer reads as the type it had is written as text', () => {
  const old = decoded({ port: 5432, ssl: true, username: 'app_blue', password: 'old-password' });
  const moved = { ...fresh, fields: { ...fresh.fields, port: '5432,5433', ssl: 'require' } };
  expect(written(inheriting(moved, old))).toMatchObject({ port: '5432,5433', ssl: 'require' });
});

test('a document that is read and written again stays as it was', () => {
  const document = { active: false, password: 'p', port: 5432, ratio: 0.5, username: 'u' };
  expect(encodeCredential(decoded(document)).reveal()).toBe(JSON.stringify(document));
});

test.each(['postgres://app:old%2Fpassword@db/shop', 'PGPASSWORD=old/password'])(
  'a field that repeats the old secret is refused, since it would be wrong from now on',
  (url) => {
    const old = decoded({ username: 'app_blue', password: 'old/password', url });
    expect(() => inheriting(fresh, old)).toThrow(/field "url" repeats a secret/);
  },
);

test('the first version of all has nothing to inherit', () => {
  expect(inheriting(fresh, undefined)).toBe(fresh);
});
