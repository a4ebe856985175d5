import { expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { otherUser } from './alternating-users.ts';
import { parseDatabaseSecret } from './secret.ts';
import { transportsFor } from './transport.ts';

const base = { engine: 'postgres', host: 'db.example', username: 'app', password: 'marker-password' };
const read = (document: unknown) =>
  parseDatabaseSecret(SecretValue.of(JSON.stringify(document)), 'the secret');

test.each([
  [{}, { port: 5_432, database: 'postgres', encryption: 'preferred', adminSecretId: undefined }],
  [
    { port: '6000', dbname: 'shop' },
    { port: 6_000, database: 'shop' },
  ],
  [
    { port: null, dbname: null, masterarn: null },
    { port: 5_432, database: 'postgres' },
  ],
  [{ engine: 'aurora-postgresql', masterarn: 'arn:admin' }, { adminSecretId: 'arn:admin' }],
  [{ ssl: true }, { encryption: 'required' }],
  [{ ssl: 'TRUE' }, { encryption: 'required' }],
  [{ ssl: false }, { encryption: 'off' }],
  [{ ssl: 'False' }, { encryption: 'off' }],
  [{ ssl: 'maybe' }, { encryption: 'preferred' }],
  [{ ssl: 1 }, { encryption: 'preferred' }],
])('with %j it is read as AWS documents it', (more, expected) => {
  expect(read({ ...base, ...more })).toMatchObject(expected);
});

test.each([
  ['a text', 'marker-password', 'JSON object'],
  ['a list', [1], 'JSON object'],
  ['no host', { ...base, host: undefined }, '"host"'],
  ['another engine', { ...base, engine: 'mysql' }, '"engine"'],
  ['a port that is none', { ...base, port: 'x' }, '"port"'],
  ['no password', { ...base, password: '' }, '"password"'],
])('%s is refused by the name of the field, and quotes nothing', (_name, document, words) => {
  const attempt = () => read(document);
  expect(attempt).toThrow(expect.objectContaining({ code: 'credential.malformed' }));
  expect(attempt).toThrow(words);
  expect(attempt).not.toThrow('marker-password');
});

test('ssl decides how the server may be spoken to', () => {
  const encrypted = { mode: 'verify-full' };
  expect(transportsFor({ encryption: 'required' })).toEqual([encrypted]);
  expect(transportsFor({ encryption: 'off' })).toEqual([{ mode: 'disable' }]);
  expect(transportsFor({ encryption: 'preferred' })).toEqual([encrypted, { mode: 'disable' }]);
  expect(transportsFor({ encryption: 'required' }, '/ca.pem')).toEqual([{ ...encrypted, caFile: '/ca.pem' }]);
});

test.each([
  ['app', 'app_clone'],
  ['app_clone', 'app'],
  ['a'.repeat(57), `${'a'.repeat(57)}_clone`],
])('%s takes turns with %s', (user, other) => {
  expect(otherUser(user)).toBe(other);
});

test('a name without room for the suffix is refused', () => {
  expect(() => otherUser('a'.repeat(58))).toThrow(/63 bytes/);
});
