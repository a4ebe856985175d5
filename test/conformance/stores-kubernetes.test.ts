import { readFileSync } from 'node:fs';
import type { KubeConfig, KubernetesObject } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Fault, FaultRequest } from '../../sandbox/api/faults.ts';
import { kubernetesStore } from '../../stores/kubernetes/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { type Cluster, onSandbox, useCluster } from '../sandbox/cluster.ts';
import { callWith } from './stores-calls.ts';

const PATH = 'shop/app';
const INDEX = 'rotor-shop-app-87bf3caf70ce3a93';
const VERBS = ['get', 'create', 'patch', 'delete'] as const;
const call = (fence = 1n) => callWith(fence);
const document = (password: string) => SecretValue.of(JSON.stringify({ username: 'app', password }));

let cluster: Cluster;
beforeAll(async () => {
  cluster = await useCluster();
});

function clustersOf(changes: (config: KubeConfig) => void = () => undefined) {
  return kubeconfigClusters((config) => {
    config.loadFromString(cluster.config.exportConfig());
    changes(config);
  });
}

function opened(namespace: string, changes: object = {}, clusters = clustersOf()): StoreSession {
  const store = kubernetesStore(clusters);
  return store.open(store.spec.parse({ namespace, ...changes }));
}

async function withAAndB(): Promise<{ store: StoreSession; namespace: string }> {
  const namespace = await cluster.namespace();
  const store = opened(namespace);
  await store.stage(call(), PATH, 'a', document('one'));
  await store.promote(call(), PATH, 'a', undefined);
  await store.stage(call(), PATH, 'b', document('two'));
  return { store, namespace };
}

/** `a=current b=pending`, oldest first. */
async function stagesOf(store: StoreSession): Promise<string> {
  const versions = await store.list(call(0n), PATH);
  return [...versions]
    .reverse()
    .map(({ versionId, stages }) => `${versionId}=${stages.join('+')}`)
    .join(' ');
}

const secretsIn = async (namespace: string) => {
  const { items } = await cluster.core.listNamespacedSecret({ namespace });
  return items.filter(({ type }) => type?.startsWith('rotor.dev/'));
};
const namesIn = async (namespace: string) =>
  (await secretsIn(namespace)).map(({ metadata }) => metadata?.name?.replace(INDEX, 'index')).sort();

/** A user with these verbs on secrets of the namespace, as whom the store then asks. */
async function allowed(namespace: string, verbs: readonly string[]) {
  const named = { name: 'store', namespace };
  const group = 'rbac.authorization.k8s.io';
  const objects = [
    { kind: 'Role', metadata: named, rules: [{ apiGroups: [''], resources: ['secrets'], verbs }] },
    {
      kind: 'RoleBinding',
      metadata: named,
      roleRef: { apiGroup: group, kind: 'Role', name: 'store' },
      subjects: [{ kind: 'User', name: 'limited', apiGroup: group }],
    },
  ];
  for (const object of objects)
    await cluster.objects.create({ apiVersion: `${group}/v1`, ...object } as KubernetesObject);
  return clustersOf((config) => {
    Object.assign(config.getCurrentUser() as object, { impersonateUser: 'limited' });
  });
}

describe('Secrets of a cluster as a store', () => {
  test('each version is an immutable Secret of its own, and the one that says which is which holds no secret', async () => {
    const { namespace } = await withAAndB();
    const secrets = await secretsIn(namespace);
    expect(secrets.map(({ metadata }) => metadata?.name).sort()).toEqual([INDEX, `${INDEX}.a`, `${INDEX}.b`]);
    for (const { metadata, type, immutable } of secrets) {
      const version = type === 'rotor.dev/store-version';
      expect(immutable ?? false).toBe(version);
      expect(metadata?.labels).toEqual({
        'app.kubernetes.io/managed-by': 'rotor-store',
        'rotor.dev/store': INDEX,
      });
      expect(metadata?.annotations).toMatchObject({ 'rotor.dev/store-path': PATH });
    }
    const index = secrets.find(({ metadata }) => metadata?.name === INDEX)?.data?.index ?? '';
    expect(JSON.parse(Buffer.from(index, 'base64').toString())).toMatchObject({ fence: '1' });
    expect(Buffer.from(index, 'base64').toString()).not.toMatch(/one|two|password/);
  });

  test('a discarded version is deleted, and versions beyond keepVersions are as new ones come', async () => {
    const namespace = await cluster.namespace();
    const store = opened(namespace, { keepVersions: 1 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await store.stage(call(), PATH, id, document(id));
    expect(await stagesOf(store)).toBe('d= e=pending');
    expect(await namesIn(namespace)).toEqual(['index', 'index.d', 'index.e']);
    await store.discard(call(), PATH, 'e');
    expect(await namesIn(namespace)).toEqual(['index', 'index.d']);
  });

  test('what a worker had begun to stage when it was killed is removed by the next one that writes', async () => {
    const { store, namespace } = await withAAndB();
    const faults = cluster.sandbox?.faults;
    if (!faults) return;
    let writes = 0;
    // The announcement and the document come through; that it is pending doesn't.
    faults.before = ({ verb, resource }) =>
      resource === 'secrets' && verb !== 'get' && writes++ === 2 ? 'cut' : 'ok';
    await expect(store.stage(call(1n), PATH, 'c', document('three'))).rejects.toMatchObject({
      kind: 'ambiguous',
    });
    faults.before = () => 'ok';
    expect(await namesIn(namespace)).toEqual(['index', 'index.a', 'index.b', 'index.c']);
    expect(await stagesOf(store)).toBe('a=current b=pending');
    expect(await store.read(call(), PATH, { versionId: 'c' })).toBeUndefined();
    await opened(namespace).promote(call(2n), PATH, 'b', 'a');
    expect(await namesIn(namespace)).toEqual(['index', 'index.a', 'index.b']);
    expect(await stagesOf(store)).toBe('a=previous b=current');
  });

  test('what a worker that slept has made after its turn was over goes with its discard', async () => {
    const { store, namespace } = await withAAndB();
    const other = (await secretsIn(namespace)).find(({ metadata }) => metadata?.name === `${INDEX}.b`);
    const annotations = { ...other?.metadata?.annotations, 'rotor.dev/version': 'c' };
    const metadata = { name: `${INDEX}.c`, namespace, labels: other?.metadata?.labels ?? {}, annotations };
    await cluster.core.createNamespacedSecret({ namespace, body: { ...other, metadata } });
    await expect(store.stage(call(), PATH, 'c', document('other'))).rejects.toMatchObject({
      code: 'store.conflict',
    });
    await store.discard(call(), PATH, 'c');
    expect(await namesIn(namespace)).toEqual(['index', 'index.a', 'index.b']);
  });

  test('an earlier worker does not delete what a later one has staged under the same id', async () => {
    const { store, namespace } = await withAAndB();
    const late = opened(namespace);
    await store.stage(call(9n), PATH, 'c', document('three'));
    await expect(late.discard(call(8n), PATH, 'c')).rejects.toMatchObject({ code: 'store.fenced' });
    expect(await stagesOf(store)).toBe('a=current b= c=pending');
  });

  test('a Secret that somebody else made is never taken over, by whichever name', async () => {
    const { store, namespace } = await withAAndB();
    const refused = {
      code: 'cluster.not-owned',
      kind: 'terminal',
      message: expect.stringContaining(namespace),
    };
    const theirs = (name: string) =>
      cluster.core.createNamespacedSecret({
        namespace,
        body: { metadata: { name }, data: { document: 'e30=' } },
      });
    await theirs(`${INDEX}.c`);
    await expect(store.stage(call(), PATH, 'c', document('three'))).rejects.toMatchObject(refused);
    await expect(store.discard(call(), PATH, 'c')).rejects.toMatchObject(refused);
    await cluster.core.deleteNamespacedSecret({ namespace, name: INDEX });
    await theirs(INDEX);
    for (const attempt of [() => store.list(call(), PATH), () => store.promote(call(), PATH, 'b', 'a')])
      await expect(attempt()).rejects.toMatchObject(refused);
    expect((await cluster.core.readNamespacedSecret({ namespace, name: INDEX })).data).toEqual({
      document: 'e30=',
    });
  });

  test('and a delivery never takes the store for a Secret of its own', async () => {
    const { namespace } = await withAAndB();
    const delivery = secretDelivery({ clusters: clustersOf() });
    const session = delivery.open(delivery.spec.parse({ name: INDEX, namespaces: [namespace] }));
    await expect(session.plan(call())).rejects.toMatchObject({ code: 'cluster.not-owned' });
  });

  test('nobody is led to a version whose Secret was deleted by hand', async () => {
    const { store, namespace } = await withAAndB();
    await cluster.core.deleteNamespacedSecret({ namespace, name: `${INDEX}.b` });
    const gone = {
      code: 'store.unavailable',
      kind: 'terminal',
      message: expect.stringContaining(`secret ${namespace}/${INDEX}.b, which holds version b, is gone`),
    };
    await expect(store.promote(call(), PATH, 'b', 'a')).rejects.toMatchObject(gone);
    await expect(store.read(call(), PATH, 'pending')).rejects.toMatchObject(gone);
    expect((await store.read(call(), PATH, 'current'))?.versionId).toBe('a');
    await store.discard(call(), PATH, 'b');
    expect(await stagesOf(store)).toBe('a=current');
  });

  test('an index that was edited by hand is not believed', async () => {
    const { store, namespace } = await withAAndB();
    const secret = await cluster.core.readNamespacedSecret({ namespace, name: INDEX });
    await cluster.core.replaceNamespacedSecret({
      namespace,
      name: INDEX,
      body: { ...secret, data: { index: 'e30=' } },
    });
    await expect(store.list(call(), PATH)).rejects.toMatchObject({ code: 'store.conflict' });
  });

  test('the documented rights are enough, and each that is missing is named with verb and object', async () => {
    const round = async (store: StoreSession) => {
      await store.stage(call(), PATH, 'a', document('one'));
      await store.promote(call(), PATH, 'a', undefined);
      await store.stage(call(), PATH, 'b', document('two'));
      await store.promote(call(), PATH, 'b', 'a');
      await store.discard(call(), PATH, 'a');
    };
    const enough = await cluster.namespace();
    const able = opened(enough, { encryptedAtRest: true }, await allowed(enough, VERBS));
    expect(await able.check?.(call(), PATH)).toEqual({ warnings: [] });
    await round(able);
    for (const missing of VERBS) {
      const namespace = await cluster.namespace();
      const verbs = VERBS.filter((verb) => verb !== missing);
      const unable = opened(namespace, {}, await allowed(namespace, verbs));
      const refusal = {
        code: 'cluster.forbidden',
        message: expect.stringContaining(`may not ${missing} secret ${namespace}`),
        hint: expect.stringContaining(`the verb "${missing}" on secrets in namespace ${namespace}`),
      };
      await expect(unable.check?.(call(), PATH)).rejects.toMatchObject(refusal);
      await expect(round(unable)).rejects.toMatchObject(refusal);
    }
  });

  test('a plan warns that etcd may hold plain text, and names a namespace that is not there', async () => {
    const { store, namespace } = await withAAndB();
    const before = await namesIn(namespace);
    const told = [
      expect.stringMatching(/plain text in etcd.*EncryptionConfiguration.*encryptedAtRest: true/),
    ];
    expect(await store.check?.(call(), PATH)).toEqual({ warnings: told });
    expect(await namesIn(namespace)).toEqual(before);
    await expect(opened('no-such-namespace').check?.(call(), PATH)).rejects.toMatchObject({
      code: 'cluster.not-found',
      message: expect.stringContaining('no-such-namespace'),
    });
  });

  test('a document of the longest length that a Secret takes comes back', async () => {
    const store = opened(await cluster.namespace());
    const longest = SecretValue.of('x'.repeat(1_048_576));
    await store.stage(call(), PATH, 'a', longest);
    expect((await store.read(call(), PATH, 'pending'))?.document.equals(longest)).toBe(true);
  });
});

type Operation = readonly [
  name: string,
  before: string,
  after: string,
  run: (store: StoreSession) => Promise<void>,
];

const OPERATIONS: readonly Operation[] = [
  [
    'stage',
    'a=current b=pending',
    'a=current b= c=pending',
    (store) => store.stage(call(), PATH, 'c', document('c')),
  ],
  [
    'promote',
    'a=current b=pending',
    'a=previous b=current',
    (store) => store.promote(call(), PATH, 'b', 'a'),
  ],
  ['discard', 'a=current b=pending', 'a=current', (store) => store.discard(call(), PATH, 'b')],
];

const FAULTS: ReadonlyArray<readonly [string, 'before' | 'after', Fault, object | 'none or any']> = [
  ['409', 'before', { status: 409, reason: 'Conflict' }, 'none or any'],
  [
    '429',
    'before',
    { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 7 },
    { code: 'cluster.throttled', retryAfterMs: 7_000 },
  ],
  ['500', 'before', { status: 500, reason: 'InternalError' }, { code: 'cluster.unavailable' }],
  ['403', 'before', { status: 403, reason: 'Forbidden' }, { code: 'cluster.forbidden', kind: 'terminal' }],
  ['the connection cut before', 'before', 'cut', { code: 'cluster.unavailable' }],
  ['the answer lost', 'after', 'cut', { code: 'cluster.unavailable' }],
];

describe.skipIf(!onSandbox)('answers that make trouble', () => {
  afterAll(() => Object.assign(faults(), { before: () => 'ok', after: () => 'ok' }));
  const faults = () => (cluster.sandbox as NonNullable<Cluster['sandbox']>).faults;

  test.each(
    OPERATIONS.flatMap(([name, ...operation]) =>
      FAULTS.map(([fault, ...how]) => ({ title: `${name} with ${fault}`, operation, how })),
    ),
  )(
    '$title at each of its requests: the old state or the new, and a repeat finishes',
    async ({ operation: [before, after, run], how: [moment, fault, expected] }) => {
      for (let at = 0; ; at += 1) {
        const { store, namespace } = await withAAndB();
        let asked = 0;
        const disturb = (request: FaultRequest): Fault =>
          request.namespace === namespace && request.resource === 'secrets' && asked++ === at ? fault : 'ok';
        faults()[moment] = disturb;
        const outcome = await run(store).catch((error: unknown) => error);
        Object.assign(faults(), { before: () => 'ok', after: () => 'ok' });
        if (asked <= at) {
          expect(at).toBeGreaterThan(2);
          return;
        }
        if (outcome !== undefined) expect(outcome).toBeInstanceOf(RotorError);
        if (expected !== 'none or any') expect(outcome).toMatchObject(expected);
        expect([before, after]).toContain(await stagesOf(store));
        await run(store);
        expect(await stagesOf(store)).toBe(after);
        const kept = after.split(' ').map((each) => `index.${each.split('=')[0]}`);
        expect(await namesIn(namespace)).toEqual(['index', ...kept]);
      }
    },
  );
});

test('what stands in the docs about the rights is what the suite grants', () => {
  const page = readFileSync(new URL('../../docs/stores.md', import.meta.url), 'utf8');
  expect(page).toContain(`verbs: [${VERBS.join(', ')}]`);
});
