import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PatchStrategy, type V1Secret } from '@kubernetes/client-node';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { claimDriftChecks, hurryDriftCheck, watchDrift } from '../../ledger/drift.ts';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { stopTestCluster, type TestCluster, testCluster } from '../setup/cluster.ts';
import { interrupted } from '../setup/interrupted-cluster.ts';
import { anApplication } from '../setup/postgres-roles.ts';
import { aRotatedPolicy } from './drifting.ts';

let cluster: TestCluster;
let namespace: string;
afterAll(stopTestCluster);
beforeEach(async () => {
  cluster = await testCluster();
  const made = await cluster.namespace();
  namespace = made.name;
  onTestFinished(() => made.remove());
});

const secretRef = (name = 'key') => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } });
const read = (name?: string) => cluster.api.read<V1Secret>(secretRef(name));
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** What a person does with kubectl. */
async function edit(
  change: { readonly data?: object; readonly metadata?: object },
  name?: string,
): Promise<void> {
  const ref = secretRef(name);
  const patch = { ...ref, ...change, metadata: { ...ref.metadata, ...change.metadata } };
  await cluster.api.patch(patch, undefined, undefined, 'kubectl-edit', undefined, PatchStrategy.MergePatch);
}

function aPolicy(spec: object = {}) {
  const secret = { kind: 'secret', spec: { name: 'key', namespaces: [namespace], ...spec } };
  return aRotatedPolicy(cluster.clusters, [secret]);
}

const NAMES = { 'app.kubernetes.io/managed-by': null };
const disturbances: Readonly<Record<string, { do: () => Promise<unknown>; told: RegExp }>> = {
  'a key that was edited': {
    do: () => edit({ data: { value: base64('by hand') } }),
    told: /^key "value" was changed by kubectl-edit at 20/,
  },
  'a key that was removed': { do: () => edit({ data: { value: null } }), told: /^key "value" is gone/ },
  'a label that was removed': {
    do: () => edit({ metadata: { labels: NAMES } }),
    told: /^label .*managed-by is gone/,
  },
  'an annotation that was changed': {
    do: () => edit({ metadata: { annotations: { 'rotor.dev/version': 'x' } } }),
    told: /^annotation rotor.dev\/version was changed by kubectl-edit/,
  },
  'a Secret that was deleted': { do: () => cluster.api.delete(secretRef()), told: /^it is gone$/ },
};

test.each(Object.entries(disturbances))(
  '%s is repaired, and told once, in words',
  async (_title, { do: disturb, told }) => {
    const policy = await aPolicy();
    const before = (await read()).data;
    expect((await policy.look()).open).toEqual([]);
    await disturb();
    const seen = await policy.look();
    expect(seen.open).toEqual([]);
    expect(seen.last).toEqual([
      {
        target: expect.stringContaining(`${namespace}/key`),
        what: expect.stringMatching(told),
        outcome: 'repaired',
      },
    ]);
    expect((await read()).data).toEqual(before);
    expect((await read()).metadata?.annotations?.['rotor.dev/version']).toBe(policy.version());
    await policy.look();
    expect((await policy.audit()).map(({ action }) => action)).toEqual(['delivery.repaired']);
  },
);

test('`report` changes nothing, tells a drift once, and forgets it when it is over', async () => {
  const policy = await aPolicy();
  await policy.apply({ drift: 'report' });
  const before = (await read()).data;
  await edit({ data: { value: base64('by hand') } });
  const seen = await policy.look();
  expect(seen.open).toMatchObject([{ outcome: 'reported', what: expect.stringContaining('kubectl-edit') }]);
  expect((await policy.look()).open).toEqual(seen.open);
  expect((await read()).data?.value).toBe(base64('by hand'));
  expect((await policy.audit()).map(({ action }) => action)).toEqual(['delivery.drifted']);
  await edit({ data: before ?? {} });
  expect((await policy.look()).open).toEqual([]);
});

test('`ignore`, a pause, and an open rotation: nothing is looked at', async () => {
  const policy = await aPolicy();
  await edit({ data: { value: base64('by hand') } });
  await policy.apply({ drift: 'ignore' });
  await policy.look();
  await policy.apply({ suspend: true });
  await policy.look();
  await policy.apply({});
  await policy.open();
  await policy.look();
  expect((await read()).data?.value).toBe(base64('by hand'));
  expect(await policy.audit()).toEqual([]);
});

test('a delivery that the policy no longer names is left alone', async () => {
  const policy = await aPolicy();
  await cluster.api.delete(secretRef());
  await policy.apply({ deliver: [{ kind: 'file', spec: { path: '/run/elsewhere' } }] });
  await policy.look();
  await expect(read()).rejects.toMatchObject({ code: 404 });
});

test('a Secret of another type in its place is not ours: told, with what to do', async () => {
  const policy = await aPolicy();
  await cluster.api.delete(secretRef());
  const data = { username: base64('u'), password: base64('p') };
  await cluster.api.create({ ...secretRef(), type: 'kubernetes.io/basic-auth', data } as never);
  const { open } = await policy.look();
  expect(open).toMatchObject([
    {
      outcome: 'failed',
      what: expect.stringContaining('its type is kubernetes.io/basic-auth, not Opaque'),
      why: expect.stringContaining('was not made by Rotor'),
    },
  ]);
  expect((await read()).type).toBe('kubernetes.io/basic-auth');
  await policy.look();
  expect((await policy.audit()).map(({ action }) => action)).toEqual(['delivery.repair-failed']);
});

test.each(['apply', 'create'] as const)(
  'a rotation that begins while a repair is paused before its %s wins',
  async (at) => {
    const policy = await aPolicy();
    await (at === 'apply' ? edit({ data: { value: base64('by hand') } }) : cluster.api.delete(secretRef()));
    const paused: Clusters = interrupted(cluster.clusters, at, async () => {
      expect((await policy.rotate()).state).toBe('done');
    });
    await policy.look(paused);
    const found = await read();
    expect(found.metadata?.annotations?.['rotor.dev/version']).toBe(policy.version());
    expect((await policy.look()).open).toEqual([]);
    expect((await policy.audit()).map(({ action }) => action)).not.toContain('delivery.repaired');
  },
);

test('versioned: a Secret that was deleted comes back, and what dead versions left is removed', async () => {
  const policy = await aPolicy({ style: 'versioned' });
  const first = versionedName('key', policy.version());
  const reader = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'reader', namespace },
    spec: {
      nodeName: 'nowhere',
      containers: [{ name: 'c', image: 'none', envFrom: [{ secretRef: { name: first } }] }],
    },
  };
  await cluster.api.create(reader);
  await policy.rotate();
  expect((await read(first)).immutable).toBe(true);
  const now = versionedName('key', policy.version());
  await cluster.api.delete({ ...secretRef(now) });
  expect((await policy.look()).last).toMatchObject([{ outcome: 'repaired', what: 'it is gone' }]);
  expect((await read(now)).immutable).toBe(true);
  await cluster.api.delete({ ...reader, spec: undefined } as never, undefined, undefined, 0);
  await policy.look();
  await expect(read(first)).rejects.toMatchObject({ code: 404 });
});

test('a look at the same policy is one worker’s at a time, and comes again after its time', async () => {
  const { test: t, policyUid, version } = await aPolicy();
  await watchDrift(t.ledger, [policyUid]);
  await hurryDriftCheck(t.ledger, version());
  const claim = () => claimDriftChecks(t.ledger, 10, { everyMs: 0, holdMs: 60_000 });
  const claimed = await Promise.all([claim(), claim(), claim()]);
  expect(claimed.flat()).toEqual([policyUid]);
});

test('nothing that is told holds a value', async () => {
  const policy = await aPolicy();
  const value = (await read()).data?.value ?? '';
  await edit({ data: { value: base64('hand-marker') } });
  await policy.look();
  const told = JSON.stringify(await policy.test.ledger.query('SELECT * FROM rotor.drift_checks')).concat(
    JSON.stringify(await policy.audit()),
  );
  for (const secret of [value, Buffer.from(value, 'base64').toString(), 'hand-marker', base64('hand-marker')])
    expect(told).not.toContain(secret);
});

test('a credential that the provider refuses is put nowhere: somebody may have changed it at both ends', async () => {
  const app = await anApplication();
  onTestFinished(() => app.drop());
  const initial = join(app.folder, 'initial.json');
  const document = { engine: 'postgres', host: '127.0.0.1', port: String(app.port), dbname: app.name };
  await writeFile(initial, JSON.stringify({ ...document, ...app.initial }), { mode: 0o600 });
  const credential = { mode: 'alternating-users', roles: app.roles, owner: app.owner };
  const secret = { kind: 'secret', spec: { name: 'key', namespaces: [namespace] } };
  const policy = await aRotatedPolicy(cluster.clusters, [secret], {
    rotator: { kind: 'postgres', provider: app.provider(), credential },
    initialFrom: { file: initial },
  });
  const role = Buffer.from((await read()).data?.username ?? '', 'base64').toString();
  await app.sql(`ALTER ROLE ${role} PASSWORD 'by-hand'`);
  await edit({ data: { password: base64('by-hand') } });
  const { open } = await policy.look();
  expect(open).toMatchObject([{ outcome: 'reported', why: expect.stringContaining('the provider refuses') }]);
  expect((await read()).data?.password).toBe(base64('by-hand'));
  expect((await policy.audit()).map(({ action }) => action)).toEqual(['delivery.drifted']);
});

test.each([
  ['edited', () => edit({ data: { value: base64('by hand') } })],
  ['deleted', () => cluster.api.delete(secretRef())],
  ['robbed of our label', () => edit({ metadata: { labels: NAMES } })],
])('a Secret that is %s is repaired without waiting for the interval', async (_, disturb) => {
  const policy = await aPolicy();
  await policy.look();
  await policy.follows(namespace);
  const before = (await read()).data;
  expect(await policy.turn()).toBe(0);
  await disturb();
  await expect.poll(() => policy.turn(), { timeout: 10_000 }).toBe(1);
  expect((await read()).data).toEqual(before);
  expect((await policy.audit()).map(({ action }) => action)).toEqual(['delivery.repaired']);
});

test('a rotation hurries no look, and neither do Secrets of others', async () => {
  const policy = await aPolicy();
  // The second write to a Secret makes its fields applied ones first, by a change that has the marks of before.
  await policy.rotate();
  await policy.look();
  await policy.follows(namespace);
  await cluster.api.create({ ...secretRef('theirs'), data: { value: base64('1') } } as never);
  await edit({ data: { value: base64('2') } }, 'theirs');
  await policy.rotate();
  await edit({ metadata: { annotations: { 'example.com/last': 'seen' } } });
  // The last edit is what is heard; all before it was heard by then, and hurried nothing.
  await expect.poll(() => policy.turn(), { timeout: 10_000 }).toBe(1);
  expect(await policy.turn()).toBe(0);
});
