import { expect, test } from 'vitest';
import { belongsTo, logicalNameOf, versionedName } from './secret-names.ts';
import { secretReferences, withNames } from './secret-references.ts';

const podSpec = {
  initContainers: [
    { name: 'migrate', envFrom: [{ configMapRef: { name: 'db' } }, { secretRef: { name: 'db' } }] },
  ],
  containers: [
    {
      name: 'web',
      env: [
        { name: 'PLAIN', value: 'db' },
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
      ],
    },
    { name: 'bare' },
  ],
  volumes: [
    { name: 'tls', secret: { secretName: 'tls' } },
    { name: 'all', projected: { sources: [{ configMap: { name: 'c' } }, { secret: { name: 'db' } }] } },
    { name: 'map', configMap: { name: 'db' } },
  ],
  imagePullSecrets: [{ name: 'registry' }],
};

test('every place of a pod that reads a Secret by name is found, and nothing else', () => {
  expect(secretReferences(podSpec)).toEqual([
    {
      pointer: '/initContainers/0/envFrom/1/secretRef/name',
      place: 'initContainers/migrate/envFrom/1',
      name: 'db',
    },
    {
      pointer: '/containers/0/env/1/valueFrom/secretKeyRef/name',
      place: 'containers/web/env/PASSWORD',
      name: 'db',
    },
    { pointer: '/volumes/0/secret/secretName', place: 'volumes/tls', name: 'tls' },
    { pointer: '/volumes/1/projected/sources/1/secret/name', place: 'volumes/all/sources/1', name: 'db' },
    { pointer: '/imagePullSecrets/0/name', place: 'imagePullSecrets/0', name: 'registry' },
  ]);
  expect(secretReferences(undefined)).toEqual([]);
});

test('each place can be given another name, and the spec that was given stays as it is', () => {
  const before = structuredClone(podSpec);
  const renamed = secretReferences(podSpec).map(({ pointer, name }) => ({ pointer, name: `${name}-new` }));
  const names = secretReferences(withNames(podSpec, renamed)).map(({ name }) => name);
  expect(names).toEqual(['db-new', 'db-new', 'tls-new', 'db-new', 'registry-new']);
  expect(podSpec).toEqual(before);
});

test.each([
  ['db', 'db', true],
  ['db', versionedName('db', 'a'), true],
  ['db', 'db-cache', false],
  // As Kustomize names Secrets.
  ['db', 'db-5m8tgb7h9k', false],
  ['db', 'db-0123456789ab-0123456789ab', false],
  ['db', 'dba', false],
])('%s and %s: the same Secret in another version? %s', (logical, name, expected) => {
  expect(belongsTo(logical, name)).toBe(expected);
});

test('the longest names still have room for a version, and stay apart', () => {
  const [one = '', other = ''] = ['a', 'b'].map((end) => `${'x'.repeat(252)}${end}`);
  for (const logical of [one, other]) {
    expect(versionedName(logical, 'v').length).toBeLessThanOrEqual(253);
    expect(belongsTo(logical, versionedName(logical, 'v'))).toBe(true);
  }
  expect(belongsTo(one, versionedName(other, 'v'))).toBe(false);
});

test('the name of a version leads back to the policy’s name, and other names to themselves', () => {
  expect(logicalNameOf(versionedName('db', 'v'))).toBe('db');
  expect(logicalNameOf('db-5m8tgb7h9k')).toBe('db-5m8tgb7h9k');
});
