import { expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { assertSamePlace, fieldsOf } from './document.ts';
import type { Target } from './target.ts';

const target: Target = {
  hosts: [
    { host: 'a.example', port: 5_432 },
    { host: 'b.example', port: 5_433 },
  ],
  database: 'shop',
  tls: {},
};
const stored = (fields: Record<string, string>, identity = 'blue') => ({
  versionId: 'v',
  identity,
  fields,
  secrets: { password: SecretValue.of('x') },
});

test('consumers get the fields of AWS secrets, several hosts joined as libpq takes them', () => {
  expect(fieldsOf(target, 'blue')).toEqual({
    engine: 'postgres',
    host: 'a.example,b.example',
    port: '5432,5433',
    dbname: 'shop',
    username: 'blue',
  });
});

test.each([
  ['what Rotor wrote itself', fieldsOf(target, 'blue')],
  ['nothing but a user', { username: 'blue' }],
  ['one of the hosts, from before the other was added', { host: 'b.example', port: '5433' }],
  ['a host that is gone beside one that is there', { host: 'gone.example,a.example', port: '5432' }],
  ['a host without port', { host: 'a.example' }],
])('a document that names %s is of this provider', (_what, fields) => {
  expect(() => assertSamePlace(target, stored(fields), ['blue'])).not.toThrow();
});

test.each([
  ['another host', { host: 'evil.example' }, /another host/],
  ['another server on the same host', { host: 'a.example', port: '6000' }, /another host/],
  ['another database', { dbname: 'bank' }, /another dbname/],
])('a document that names %s is refused', (_what, fields, words) => {
  expect(() => assertSamePlace(target, stored(fields), ['blue'])).toThrow(words);
});

test('a document of a role that the policy does not rotate is refused', () => {
  expect(() => assertSamePlace(target, stored({}, 'postgres'), ['blue', 'green'])).toThrow(
    'postgres, which is not blue or green',
  );
});
