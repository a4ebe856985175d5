import { PatchStrategy, type V1Secret } from '@kubernetes/client-node';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, type TestCluster, testCluster } from '../setup/cluster.ts';
import { interrupted } from '../setup/interrupted-cluster.ts';

let cluster: TestCluster;
let namespace: string;
afterAll(stopTestCluster);
beforeEach(async () => {
  cluster = await testCluster();
  const made = await cluster.namespace();
  namespace = made.name;
  onTestFinished(() => made.remove());
});

const credential = (versionId: string): Credential => ({
  versionId,
  identity: 'app',
  fields: { username: 'app' },
  secrets: { password: SecretValue.of(`password-of-${versionId}`) },
});
const [v1, v2] = [credential('v1'), credential('v2')];

function open(spec: object = {}, clusters: Clusters = cluster.clusters) {
  const delivery = secretDelivery({ clusters });
  return delivery.open(delivery.spec.parse({ name: 'db', namespaces: [namespace], ...spec }));
}

const secretRef = (name = 'db') => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } });
const read = (name?: string) => cluster.api.read<V1Secret>(secretRef(name));
const missing = (name?: string) =>
  read(name).then(
    () => false,
    () => true,
  );

/** What a person does with kubectl. */
async function edit(change: object, name?: string): Promise<void> {
  const patch = {
    ...secretRef(name),
    ...change,
    metadata: { ...secretRef(name).metadata, ...('metadata' in change ? (change.metadata as object) : {}) },
  };
  await cluster.api.patch(patch, undefined, undefined, 'kubectl-edit', undefined, PatchStrategy.MergePatch);
}
const base64 = (text: string) => Buffer.from(text).toString('base64');

test('a key that is no longer delivered vanishes, also from a Secret that we created', async () => {
  await open({ data: { user: '{{username}}', old: '{{password}}' } }).deliver(aCall(), v1);
  await open({ data: { user: '{{username}}', fresh: '{{password}}' } }).deliver(aCall(), v1);
  expect(Object.keys((await read()).data ?? {}).sort()).toEqual(['fresh', 'user']);
  await open({ data: { user: '{{username}}' } }).deliver(aCall(), v2);
  expect(Object.keys((await read()).data ?? {})).toEqual(['user']);
  const managers = (await read()).metadata?.managedFields?.map(({ manager, operation }) => [
    manager,
    operation,
  ]);
  expect(managers).toEqual([['rotor', 'Apply']]);
});

test('until the next delivery a key that is no longer delivered counts as not held', async () => {
  await open({ data: { user: '{{username}}', old: '{{password}}' } }).deliver(aCall(), v1);
  const now = open({ data: { user: '{{username}}' } });
  expect(await now.holds(aCall(), v1)).toBe(false);
  await now.deliver(aCall(), v1);
  expect(await now.holds(aCall(), v1)).toBe(true);
});

test('what others add to our Secret stays theirs', async () => {
  const session = open();
  await session.deliver(aCall(), v1);
  await edit({ data: { theirs: base64('x') }, metadata: { labels: { team: 'a' } } });
  expect(await session.holds(aCall(), v1)).toBe(true);
  await session.deliver(aCall(), v2);
  expect((await read()).data?.theirs).toBe(base64('x'));
  expect((await read()).metadata?.labels?.team).toBe('a');
});

test('a worker that slept before it created the Secret does not overwrite a later one', async () => {
  const early = aCall();
  const late = aCall();
  const slept = open(
    {},
    interrupted(cluster.clusters, 'create', () => open().deliver(late, v2)),
  );
  await expect(slept.deliver(early, v1)).rejects.toMatchObject({ code: 'store.fenced' });
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('two that create at once with the same right end with one of the two, whole', async () => {
  const call = aCall();
  const slept = open(
    {},
    interrupted(cluster.clusters, 'create', () => open().deliver(call, v1)),
  );
  await slept.deliver(call, v2);
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('a worker that slept between look and write writes over nobody', async () => {
  await open().deliver(aCall(), v1);
  const early = aCall();
  const late = aCall();
  const slept = open(
    {},
    interrupted(cluster.clusters, 'apply', () => open().deliver(late, v2)),
  );
  await expect(slept.deliver(early, v1)).rejects.toMatchObject({ code: 'cluster.conflict' });
  await expect(open().deliver(early, v1)).rejects.toMatchObject({ code: 'store.fenced' });
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('a fence that somebody wrote by hand keeps nobody out', async () => {
  await open().deliver(aCall(), v1);
  await edit({ metadata: { annotations: { 'rotor.dev/fence': '999999999999' } } });
  await open().deliver(aCall(), v2);
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('a Secret that somebody else made is taken over with `adopt` only, and its other keys stay', async () => {
  await cluster.api.create({
    ...secretRef(),
    data: { password: base64('theirs'), extra: base64('x') },
  } as never);
  await expect(open().plan(aCall())).rejects.toMatchObject({ code: 'cluster.not-owned' });
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ code: 'cluster.not-owned' });
  expect((await read()).data?.password).toBe(base64('theirs'));
  const adopting = open({ adopt: true });
  await adopting.plan(aCall());
  await adopting.deliver(aCall(), v1);
  expect(await adopting.holds(aCall(), v1)).toBe(true);
  expect((await read()).data?.extra).toBe(base64('x'));
  await open().deliver(aCall(), v2);
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('one that only lost our label is still ours; one that got another label is not', async () => {
  await open().deliver(aCall(), v1);
  await edit({ metadata: { labels: { 'app.kubernetes.io/managed-by': null } } });
  expect(await open().holds(aCall(), v1)).toBe(false);
  await open().deliver(aCall(), v1);
  expect(await open().holds(aCall(), v1)).toBe(true);
  await edit({ metadata: { labels: { 'app.kubernetes.io/managed-by': 'Helm' } } });
  await expect(open().deliver(aCall(), v1)).rejects.toMatchObject({ code: 'cluster.not-owned' });
});

test('differences are told by name, with who made them and when, and never with a value', async () => {
  const session = open();
  await session.deliver(aCall(), v1);
  expect(await session.differences?.(aCall(), v1)).toEqual([]);
  await edit({ data: { password: base64('by-hand'), username: null } });
  const told = await session.differences?.(aCall(), v1);
  const target = `secret ${namespace}/db in cluster ${(await cluster.clusters.open(undefined)).name}`;
  expect(told).toEqual([
    { target, what: 'key "password" was changed', by: 'kubectl-edit', at: expect.stringMatching(/^20/) },
    { target, what: 'key "username" is gone' },
  ]);
  await cluster.api.delete(secretRef());
  expect(await session.differences?.(aCall(), v1)).toEqual([{ target, what: 'it is gone' }]);
});

test('labels and annotations take public fields, follow the version, and are no place for secrets', async () => {
  const notes = {
    labels: { 'shop/user': '{{username}}', team: 'shop' },
    annotations: { 'shop/dsn': 'postgres://{{username|url}}@db, version {{versionId}}' },
  };
  const session = open(notes);
  await session.plan(aCall(), v1);
  await session.plan(aCall());
  await session.deliver(aCall(), v1);
  expect((await read()).metadata).toMatchObject({
    labels: { 'shop/user': 'app', team: 'shop' },
    annotations: { 'shop/dsn': 'postgres://app@db, version v1' },
  });
  await session.deliver(aCall(), v2);
  expect(await session.holds(aCall(), v2)).toBe(true);
  expect((await read()).metadata?.annotations?.['shop/dsn']).toContain('version v2');
  await expect(open({ annotations: { dsn: '{{password}}' } }).plan(aCall(), v1)).rejects.toMatchObject({
    code: 'manifest.invalid',
    message: expect.stringContaining('annotation dsn names the field "password", which is secret'),
  });
  const odd = { ...v1, fields: { username: 'app@shop' } };
  await expect(open(notes).deliver(aCall(), odd)).rejects.toMatchObject({
    code: 'manifest.invalid',
    message: expect.stringContaining("label shop/user can't hold"),
  });
});

test('what a cluster refuses is told in words: no namespace, too large, another type, on its way out', async () => {
  const nowhere = open({ namespaces: [`${namespace}-not`] });
  const none = {
    code: 'cluster.not-found',
    message: expect.stringContaining(`no namespace ${namespace}-not`),
  };
  await expect(nowhere.plan(aCall())).rejects.toMatchObject(none);
  await expect(nowhere.deliver(aCall(), v1)).rejects.toMatchObject(none);

  const large = { ...v1, secrets: { password: SecretValue.of('x'.repeat(1_048_577)) } };
  await expect(open().deliver(aCall(), large)).rejects.toMatchObject({
    code: 'cluster.invalid',
    message: expect.stringContaining('data (FieldValueTooLong)'),
  });

  await open().deliver(aCall(), v1);
  await expect(open({ type: 'kubernetes.io/basic-auth' }).plan(aCall())).rejects.toMatchObject({
    code: 'cluster.invalid',
    message: expect.stringContaining(
      'has type Opaque instead of kubernetes.io/basic-auth, and a type never changes',
    ),
  });

  await edit({ metadata: { finalizers: ['rotor.test/hold'] } });
  await cluster.api.delete(secretRef());
  await expect(open().deliver(aCall(), v2)).rejects.toMatchObject({
    code: 'cluster.conflict',
    kind: 'retryable',
    message: expect.stringContaining('is being deleted, and stays only until rotor.test/hold is done'),
  });
  await edit({ metadata: { finalizers: null } });
  await open().deliver(aCall(), v2);
  expect(await open().holds(aCall(), v2)).toBe(true);
});

test('a stable Secret that somebody made immutable is refused with what to do', async () => {
  await open().deliver(aCall(), v1);
  await edit({ immutable: true });
  await expect(open().deliver(aCall(), v2)).rejects.toMatchObject({
    code: 'cluster.invalid',
    message: expect.stringContaining('is immutable'),
    hint: expect.stringContaining('delete it so that Rotor makes it anew'),
  });
});

test('versioned: the Secret is immutable, named by its version, and a repeat changes nothing', async () => {
  const session = open({ style: 'versioned', labels: { app: 'shop' } });
  await session.deliver(aCall(), v1);
  const made = await read(versionedName('db', 'v1'));
  expect(made).toMatchObject({
    immutable: true,
    metadata: {
      labels: { app: 'shop', 'rotor.dev/secret': 'db', 'app.kubernetes.io/managed-by': 'rotor' },
      annotations: { 'rotor.dev/version': 'v1' },
    },
  });
  await session.deliver(aCall(), v1);
  const again = await read(versionedName('db', 'v1'));
  expect([again.metadata?.uid, again.data]).toEqual([made.metadata?.uid, made.data]);
  expect(await missing('db')).toBe(true);
});

test('versioned: a label that was changed comes back, other content under the name is refused in words', async () => {
  const session = open({ style: 'versioned' });
  await session.deliver(aCall(), v1);
  await edit({ metadata: { labels: { 'rotor.dev/secret': 'x' } } }, versionedName('db', 'v1'));
  expect(await session.holds(aCall(), v1)).toBe(false);
  await session.deliver(aCall(), v1);
  expect(await session.holds(aCall(), v1)).toBe(true);
  const other = open({ style: 'versioned', data: { password: 'x{{password}}' } });
  await expect(other.deliver(aCall(), v1)).rejects.toMatchObject({
    code: 'cluster.invalid',
    message: expect.stringContaining('is immutable and holds something else: key "password" was changed'),
  });
});

test('versioned: only Secrets of dead versions are removed, and none that something still reads', async () => {
  const session = open({ style: 'versioned' });
  for (const each of [v1, v2]) await session.deliver(aCall(), each);
  const container = {
    name: 'c',
    image: 'none',
    envFrom: [{ secretRef: { name: versionedName('db', 'v1') } }],
  };
  const workload = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'reader', namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'reader' } },
      template: { metadata: { labels: { app: 'reader' } }, spec: { containers: [container] } },
    },
  };
  await cluster.api.create(workload);
  expect(await session.collect?.(aCall(), ['v1', 'v0'])).toEqual({
    removed: [],
    kept: [`secret ${namespace}/${versionedName('db', 'v1')}: deployment ${namespace}/reader reads it`],
  });
  await cluster.api.delete(workload);
  // Between two tries, or suspended, a Job has no pod at all.
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'nightly', namespace },
    spec: {
      suspend: true,
      template: { spec: { restartPolicy: 'Never', containers: [container] } },
    },
  };
  await cluster.api.create(job);
  expect((await session.collect?.(aCall(), ['v1']))?.kept).toEqual([
    `secret ${namespace}/${versionedName('db', 'v1')}: job ${namespace}/nightly reads it`,
  ]);
  await cluster.api.delete(job, undefined, undefined, 0, undefined, 'Background');
  expect(await session.collect?.(aCall(), ['v1', 'v0'])).toEqual({
    removed: [`secret ${namespace}/${versionedName('db', 'v1')}`],
    kept: [],
  });
  expect(await missing(versionedName('db', 'v1'))).toBe(true);
  expect(await session.holds(aCall(), v2)).toBe(true);
});
