import { expect, test } from 'vitest';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import {
  type Baseline,
  baselineOf,
  behind,
  disagreement,
  lagging,
  mountedOf,
  mountsClass,
  mountsOf,
  UNKNOWN_BASELINE,
} from './decide.ts';

const pod: ClusterObject = { metadata: { name: 'web-0', uid: 'u1' } };
const spec = { providerClass: 'db', objects: undefined };
const status = (changes: object = {}, uid = 'u1'): ClusterObject => ({
  metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web-0', uid }] },
  status: {
    podName: 'web-0',
    secretProviderClassName: 'db',
    mounted: true,
    objects: [{ id: 'password', version: '1' }],
    ...changes,
  },
});
const two = {
  objects: [
    { id: 'user', version: '1' },
    { id: 'password', version: '2' },
  ],
};

test.each<[string, ClusterObject | undefined, object, object]>([
  ['one object needs no name', status(), {}, { versions: { password: '1' } }],
  [
    'of several those that are named',
    status(two),
    { objects: ['password'] },
    { versions: { password: '2' } },
  ],
  [
    'several without names',
    status(two),
    {},
    { problem: expect.stringMatching(/2 objects \(user, password\)/) },
  ],
  [
    'another object',
    status(),
    { objects: ['api-key'] },
    { problem: expect.stringMatching(/no version of object api-key/) },
  ],
  [
    'an object without a version',
    status({ objects: [{ id: 'password' }] }),
    {},
    { problem: expect.stringMatching(/no version of object password/) },
  ],
  ['no status yet', undefined, {}, { problem: expect.stringMatching(/has not reported/) }],
  [
    'a pod of before under the same name',
    status({}, 'u0'),
    {},
    { problem: expect.stringMatching(/earlier pod/) },
  ],
  ['another pod', status({ podName: 'web-1' }), {}, { problem: expect.stringMatching(/is of pod web-1/) }],
  [
    'another class',
    status({ secretProviderClassName: 'mail' }),
    {},
    { problem: expect.stringMatching(/class mail/) },
  ],
  ['not mounted', status({ mounted: false }), {}, { problem: expect.stringMatching(/is not mounted/) }],
])('what the driver reports: %s', (_, found, changes, expected) => {
  expect(mountedOf(pod, found, { ...spec, ...changes })).toEqual(expected);
});

test('what was before is every version that any pod had, and whether they are ids of the store', () => {
  expect(baselineOf([{ a: 'v0' }, { a: 'v0' }], 'v0')).toEqual({ versions: { a: ['v0'] }, by: 'id' });
  expect(baselineOf([{ a: 'projects/1/secrets/a/versions/v0' }], 'v0')).toMatchObject({ by: 'id' });
  expect(baselineOf([{ a: 'y' }, { a: 'x' }], 'v0')).toEqual({ versions: { a: ['x', 'y'] }, by: 'change' });
  expect(baselineOf([{ a: 'v0', b: 'x' }], 'v0')).toMatchObject({ by: 'change' });
  expect(baselineOf([], 'v0')).toEqual({ versions: {}, by: 'change' });
  expect(baselineOf([{ a: 'x' }], undefined)).toMatchObject({ by: 'anything' });
});

const changed: Baseline = { versions: { a: ['x', 'y'] }, by: 'change' };
const named: Baseline = { versions: { a: ['v0'] }, by: 'id' };
test.each<[string, string, Baseline, 'forward' | 'back', RegExp | undefined]>([
  ['the new id', 'v1', named, 'forward', undefined],
  ['the new id in a resource name', 'projects/1/secrets/a/versions/v1', named, 'forward', undefined],
  ['another new id', 'v2', named, 'forward', /v2 of a mounted instead of v1/],
  ['the id of before', 'v0', named, 'forward', /v0 of a mounted instead of v1/],
  ['a changed hash', 'z', changed, 'forward', undefined],
  ['the hash of before', 'y', changed, 'forward', /as before the rotation/],
  ['going back, the hash of before', 'x', changed, 'back', undefined],
  ['going back, the new hash', 'z', changed, 'back', /not yet the one of before/],
  ['anything, where nobody looked before', 'z', { versions: {}, by: 'change' }, 'forward', /nobody saw/],
  [
    'anything, going back, where nobody looked before',
    'z',
    { versions: {}, by: 'change' },
    'back',
    /nobody saw/,
  ],
  ['anything, where nothing of before is known', 'z', UNKNOWN_BASELINE, 'forward', /instead of v1/],
  ['its own id, where nothing of before is known', 'v1', UNKNOWN_BASELINE, 'forward', undefined],
  ['anything, where the store was empty', 'z', { versions: {}, by: 'anything' }, 'forward', undefined],
])('a pod with %s', (_, version, baseline, going, told) => {
  const seen = behind({ a: version }, baseline, 'v1', going);
  if (told) expect(seen).toMatch(told);
  else expect(seen).toBeUndefined();
});

test('one object that is behind keeps the pod behind', () => {
  const both: Baseline = { versions: { user: ['1'], password: ['1'] }, by: 'change' };
  expect(behind({ user: '2', password: '1' }, both, 'v1', 'forward')).toMatch(/1 of password/);
});

test('pods with two new versions prove nothing', () => {
  expect(
    disagreement([
      { name: 'one', versions: { a: 'z' } },
      { name: 'two', versions: { a: 'q' } },
    ]),
  ).toMatch(/pods one and two have different versions of a mounted \(z and q\)/);
  expect(
    disagreement([
      { name: 'one', versions: { a: 'z' } },
      { name: 'two', versions: { a: 'z' } },
    ]),
  ).toBeUndefined();
  expect(disagreement([])).toBeUndefined();
});

const start = { podAt: '2026-11-01T12:00:00Z', unchanged: true, reportedMs: undefined, started: undefined };
test('every pod without proof is named, and only then whether the others agree', () => {
  const wanted = { baseline: changed, versionId: 'v1', going: 'forward' as const };
  const pods = [
    { name: 'old', seen: { versions: { a: 'y' } }, start },
    { name: 'new', seen: { versions: { a: 'z' } }, start },
    { name: 'mute', seen: { problem: 'the driver has not reported' }, start },
  ];
  expect(lagging(pods, wanted)).toEqual([
    expect.stringMatching(/^pod old: .*as before the rotation$/),
    'pod mute: the driver has not reported',
  ]);
  const two = pods
    .slice(0, 2)
    .map(({ name }, index) => ({ name, seen: { versions: { a: `z${index}` } }, start }));
  expect(lagging(two, wanted)).toEqual([expect.stringMatching(/different versions/)]);
  expect(lagging(two.slice(0, 1), wanted)).toEqual([]);
  const before = ['x', 'y'].map((a) => ({ name: a, seen: { versions: { a } }, start }));
  expect(lagging(before, { ...wanted, going: 'back' })).toEqual([]);
});

test('of programs that read at their start only, the file must not have been changed under them', () => {
  const wanted = { baseline: changed, versionId: 'v1', going: 'forward' as const };
  const proven = { name: 'new', startedAt: start.podAt };
  const pods = [{ name: 'new', seen: { versions: { a: 'z' } }, start: { ...start, unchanged: false } }];
  expect(lagging(pods, wanted)).toEqual([]);
  expect(lagging(pods, { ...wanted, atStart: { proven: [] } })).toEqual([
    expect.stringMatching(/^pod new: /),
  ]);
  expect(lagging(pods, { ...wanted, atStart: { proven: [proven] } })).toEqual([]);
  const another = { ...proven, startedAt: '2026-11-01T11:00:00Z' };
  expect(lagging(pods, { ...wanted, atStart: { proven: [another] } })).toHaveLength(1);
});

test('the mounts of a class are found in all containers, and those by subPath are told', () => {
  const csi = { driver: 'secrets-store.csi.k8s.io', volumeAttributes: { secretProviderClass: 'db' } };
  const workload: ClusterObject = {
    spec: {
      template: {
        spec: {
          volumes: [
            { name: 'db', csi },
            { name: 'mail', csi: { ...csi, volumeAttributes: { secretProviderClass: 'mail' } } },
            { name: 'other', csi: { ...csi, driver: 'nfs.csi.k8s.io' } },
          ],
          initContainers: [{ name: 'init', volumeMounts: [{ name: 'db', subPath: 'password' }] }],
          containers: [{ name: 'web', volumeMounts: [{ name: 'mail' }, { name: 'other' }, { name: 'db' }] }],
        },
      },
    },
  };
  expect(mountsOf(workload, 'db')).toEqual([
    { container: 'init', fixed: true },
    { container: 'web', fixed: false },
  ]);
  const { spec: pod } = workload.spec.template;
  expect(['db', 'mail', 'other'].map((name) => mountsClass(pod, name))).toEqual([true, true, false]);
});
