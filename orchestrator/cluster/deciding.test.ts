import { describe, expect, test } from 'vitest';
import type { ClusterObjectRow } from '../../ledger/cluster-objects.ts';
import { knownKinds } from '../cli/manifest-files.ts';
import { manifestSchemas } from '../manifests/schemas.ts';
import { differing } from './apply.ts';
import { type CustomResource, customResource, isNews } from './custom-resource.ts';
import { checkedTogether, keyOf, type Reading, readResource } from './reading.ts';
import { retirable } from './retire.ts';

const schemas = manifestSchemas(knownKinds());
const local = [{ kind: 'Store' as const, namespace: 'shop', name: 'local' }];

function resource(kind: CustomResource['kind'], name: string, spec: object, generation = 1): CustomResource {
  return {
    kind,
    namespace: 'shop',
    name,
    uid: `uid-${name}`,
    generation,
    resourceVersion: '1',
    createdAt: new Date(0),
    spec,
    status: {},
    rotateNow: undefined,
  };
}

const policy = (name: string, more: object = {}, generation = 1) =>
  resource(
    'RotationPolicy',
    name,
    { credential: { random: {} }, store: { path: name }, ...more },
    generation,
  );
const apart = (from: string) => ({ apart: { from: [from], atLeast: '1h' } });
const readAll = (resources: readonly CustomResource[]) =>
  new Map(resources.map((each) => [keyOf(each), readResource(each, schemas)] as const));
const refused = (readings: ReadonlyMap<string, Reading>) =>
  [...readings].flatMap(([key, reading]) => (reading.accepted ? [] : [key]));

describe('a custom resource', () => {
  test('is read as its manifest would be in a file, whatever others wrote into its metadata', () => {
    const wire = {
      metadata: {
        name: 'db',
        namespace: 'shop',
        generation: 4,
        labels: { token: 'x' },
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(10_000) },
      },
      spec: policy('db').spec,
    };
    const read = customResource('RotationPolicy', wire);
    expect(read).toMatchObject({ name: 'db', generation: 4, rotateNow: undefined });
    expect(read && readResource(read, schemas)).toMatchObject({
      accepted: true,
      manifest: { kind: 'RotationPolicy', namespace: 'shop', name: 'db' },
    });
  });

  test('is refused with field and words, and without the value', () => {
    const reading = readResource(policy('db', { deadline: 'marker-value' }), schemas);
    expect(reading).toEqual({
      accepted: false,
      reason: 'ManifestInvalid',
      problems: ['spec.deadline needs a duration such as "90s", "1h30m" or "30d"'],
    });
  });

  test('is gone once its deletion has begun', () => {
    const metadata = { name: 'db', deletionTimestamp: '2026-01-01T00:00:00Z' };
    expect(customResource('RotationPolicy', { metadata })).toBeUndefined();
  });

  test('is news when its manifest, its identity or its wish for a rotation changed, and not when its status did', () => {
    const one = policy('db');
    expect(isNews(one, { ...one, resourceVersion: '2', status: { observedGeneration: 1 } })).toBe(false);
    expect(isNews(one, { ...one, generation: 2 })).toBe(true);
    expect(isNews(one, { ...one, uid: 'other' })).toBe(true);
    expect(isNews(one, { ...one, rotateNow: '1' })).toBe(true);
    expect(isNews(one, undefined)).toBe(true);
  });
});

describe('references', () => {
  test('lead to each other in a circle, and what refers to a refused one is refused too', () => {
    const all = [policy('a', apart('b')), policy('b', apart('a'))];
    expect(refused(checkedTogether(readAll(all), local))).toEqual([]);
    const chain = [policy('a', apart('b')), policy('b', apart('c')), policy('c', { deadline: 'x' })];
    expect(refused(checkedTogether(readAll(chain), local))).toEqual([
      'RotationPolicy shop/a',
      'RotationPolicy shop/b',
      'RotationPolicy shop/c',
    ]);
  });

  test('lead to what was applied before', () => {
    const before = [...local, { kind: 'RotationPolicy' as const, namespace: 'shop', name: 'b' }];
    expect(refused(checkedTogether(readAll([policy('a', apart('b'))]), before))).toEqual([]);
  });
});

test('the label `environment` of a policy is the one label that counts, and a new one is news', () => {
  const wire = (labels: Record<string, string>) => {
    const metadata = { name: 'db', namespace: 'shop', generation: 4, uid: 'u', labels };
    return customResource('RotationPolicy', { metadata, spec: policy('db').spec });
  };
  const read = wire({ environment: 'production', token: 'x' });
  expect(read && readResource(read, schemas)).toMatchObject({
    manifest: { labels: { environment: 'production' }, spec: { environment: 'production' } },
  });
  expect(isNews(read, wire({ environment: 'production', token: 'y' }))).toBe(false);
  expect(isNews(read, wire({ environment: 'staging' }))).toBe(true);
});

describe('what is applied', () => {
  const row = (name: string, generation: number, uid = `uid-${name}`): ClusterObjectRow => ({
    kind: 'RotationPolicy',
    namespace: 'shop',
    name,
    uid,
    bornAt: new Date(0),
    generation,
  });
  const key = 'RotationPolicy shop/db';
  const written = readResource(policy('db'), schemas);
  const spec = written.accepted ? JSON.parse(JSON.stringify(written.manifest.spec)) : undefined;

  test.each<[string, unknown, ClusterObjectRow | undefined, number]>([
    ['nothing when the ledger holds it as it is written', spec, row('db', 2), 0],
    ['what the ledger does not hold', undefined, undefined, 1],
    ['what somebody changed in the ledger', { ...spec, deadlineMs: 1 }, row('db', 2), 1],
    ['what came from a file before', spec, undefined, 1],
    ['a newer generation', spec, row('db', 1), 1],
    ['an object that was deleted and made again', spec, row('db', 2, 'older'), 1],
  ])('is %s', (_, held, known, count) => {
    const resources = [policy('db', {}, 2)];
    const side = { specs: new Map([[key, held]]), rows: new Map(known ? [[key, known]] : []) };
    expect(differing(resources, readAll(resources), side)).toHaveLength(count);
  });
});

describe('what may go when its object is gone', () => {
  const gone = (kind: string, name: string): ClusterObjectRow => ({
    kind,
    namespace: 'shop',
    name,
    uid: 'u',
    bornAt: new Date(0),
    generation: 1,
  });
  const user = (name: string, suspend = false) => ({
    name,
    spec: { provider: 'db', store: { name: 'shelf', path: 'x' }, suspend },
  });
  const all = [gone('RotationPolicy', 'web'), gone('Provider', 'db'), gone('Store', 'shelf')];

  test.each<[string, ClusterObjectRow[], ReturnType<typeof user>[], string[], string[]]>([
    ['all of a namespace together', all, [user('web')], ['web'], ['web', 'db', 'shelf']],
    ['no provider and no store that a policy uses', all.slice(1), [user('web')], ['web'], []],
    [
      'none that a suspended policy uses which is still followed',
      all.slice(1),
      [user('web', true)],
      ['web'],
      [],
    ],
    ['those that only retired policies used', all.slice(1), [user('web', true)], [], ['db', 'shelf']],
    ['none that a policy from a file uses', all.slice(1), [user('filed')], [], []],
  ])('is %s', (_, rows, policies, followed, names) => {
    expect(retirable(rows, policies, new Set(followed)).map(({ name }) => name)).toEqual(names);
  });
});
