import { KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { type Cluster, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import type { CollectionRef, WireObject } from '../../core/kubernetes/collections.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { type Change, type Informer, startInformer } from '../../workers/kubernetes/informer.ts';
import { aCall } from '../setup/call.ts';

let api: SandboxApi;
let admin: KubernetesObjectApi;

beforeEach(async () => {
  api = await startApiServer({ bookmarkEveryMs: 600_000 });
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  admin = KubernetesObjectApi.makeApiClient(config);
});
// Who still asks keeps the server from stopping.
afterEach(async () => {
  for (const informer of followed.splice(0)) await informer.stop();
  await api.stop();
});

const followed: Informer<string>[] = [];

const configMaps: CollectionRef = { apiVersion: 'v1', kind: 'ConfigMap' };

async function follow(of: CollectionRef, options: { user?: string } = {}) {
  const cluster = await kubeconfigClusters((config) =>
    config.loadFromString(api.kubeconfig(options.user)),
  ).open(undefined);
  const changes: Change<string>[] = [];
  const seen: WireObject[] = [];
  const informer = startInformer(cluster, {
    of,
    keep: (object) => {
      seen.push(object);
      return object.data?.text ?? object.metadata.name;
    },
    changed: (change) => changes.push(change),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    backoff: { baseMs: 5, maxMs: 20 },
  });
  followed.push(informer);
  return { informer, changes, seen };
}

function configMap(name: string, text: string, namespace = 'default') {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { text } };
}

const contents = (informer: Informer<string>) => Object.fromEntries(informer.objects);
const catchingUp = (informer: Informer<string>) => informer.caughtUp(aCall());

test('it lists in pages, follows every change, and says that it is synced and how stale it is', async () => {
  const pages: string[] = [];
  api.faults.before = ({ verb, query }) => {
    if (verb === 'list') pages.push(query.get('limit') ?? 'none');
    return 'ok';
  };
  const { informer, changes } = await follow(configMaps);
  expect(informer.status()).toMatchObject({ synced: false, silentMs: undefined });
  await informer.synced(aCall());
  expect(pages).toEqual(['500']);
  await admin.create(configMap('one', 'a'));
  await admin.create(configMap('two', 'b'));
  await admin.replace(configMap('one', 'c'));
  await admin.delete(configMap('two', 'b'));
  await expect
    .poll(() => changes)
    .toEqual([
      { key: 'default/one', before: undefined, after: 'a' },
      { key: 'default/two', before: undefined, after: 'b' },
      { key: 'default/one', before: 'a', after: 'c' },
      { key: 'default/two', before: 'b', after: undefined },
    ]);
  expect(contents(informer)).toEqual({ 'default/one': 'c' });
  expect(informer.status()).toMatchObject({ synced: true, connected: true, problem: undefined });
  expect(informer.status().silentMs).toBeGreaterThanOrEqual(0);
});

test('more objects than fit one page all come, and a list that expires between its pages begins anew', async () => {
  api.seed(
    '/configmaps',
    Array.from({ length: 1_101 }, (_, index) => configMap(`m${index}`, 'x')),
  );
  let continued = 0;
  api.faults.before = ({ verb, query }) => {
    if (verb !== 'list' || query.get('continue') === null) return 'ok';
    continued += 1;
    return continued === 2 ? { status: 410, reason: 'Expired' } : 'ok';
  };
  const { informer } = await follow(configMaps);
  await informer.synced(aCall());
  expect(informer.objects.size).toBe(1_101);
  expect(continued).toBe(4);
});

test('one namespace is followed alone', async () => {
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
  await admin.create(configMap('here', 'a'));
  const { informer } = await follow({ ...configMaps, namespace: 'other' });
  await admin.create(configMap('there', 'b', 'other'));
  await catchingUp(informer);
  expect(contents(informer)).toEqual({ 'other/there': 'b' });
});

test('a watch that is cut goes on where it stopped, without listing again', async () => {
  const { informer } = await follow(configMaps);
  await catchingUp(informer);
  const lists = countLists();
  api.faults.before = (request) => {
    lists.see(request);
    return request.verb === 'watch' ? 'cut' : 'ok';
  };
  api.cutWatches();
  await expect.poll(() => informer.status().problem?.code).toBe('cluster.unavailable');
  expect(informer.status()).toMatchObject({ synced: true, connected: false });
  await admin.create(configMap('meanwhile', 'a'));
  api.faults.before = (request) => {
    lists.see(request);
    return 'ok';
  };
  await expect.poll(() => contents(informer)).toEqual({ 'default/meanwhile': 'a' });
  expect(lists.count()).toBe(0);
});

test('when the server has forgotten where it stopped (410), it lists again and tells only what is different', async () => {
  await admin.create(configMap('kept', 'a'));
  await admin.create(configMap('gone', 'b'));
  const { informer, changes } = await follow(configMaps);
  await catchingUp(informer);
  changes.length = 0;
  api.faults.before = ({ verb }) => (verb === 'watch' ? 'cut' : 'ok');
  api.cutWatches();
  await admin.delete(configMap('gone', 'b'));
  await admin.create(configMap('new', 'c'));
  api.forgetHistory();
  api.faults.before = () => 'ok';
  await catchingUp(informer);
  expect(contents(informer)).toEqual({ 'default/kept': 'a', 'default/new': 'c' });
  expect(changes).toContainEqual({ key: 'default/gone', before: 'b', after: undefined });
  expect(changes).toContainEqual({ key: 'default/new', before: undefined, after: 'c' });
});

test('an API server that is away, throttles, fails or hangs up is asked again until it is back', async () => {
  let asked = 0;
  api.faults.before = ({ path }) => {
    if (!path.startsWith('/api/v1')) return 'ok';
    asked += 1;
    if (asked > 12) return 'ok';
    if (asked % 3 === 0) return { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 0 };
    return asked % 3 === 1 ? 'cut' : { status: 500, reason: 'InternalError' };
  };
  const { informer } = await follow(configMaps);
  await informer.synced(aCall());
  expect(asked).toBeGreaterThan(12);
});

test('catching up tells of everything that was there when it was asked, however quiet the kind is', async () => {
  const { informer } = await follow(configMaps);
  await informer.synced(aCall());
  // Many versions go by that are of other kinds.
  for (let index = 0; index < 20; index += 1)
    await admin.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `s${index}`, namespace: 'default' },
    });
  await admin.create(configMap('last', 'a'));
  await admin.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'end', namespace: 'default' } });
  await Promise.all([catchingUp(informer), catchingUp(informer)]);
  expect(contents(informer)).toEqual({ 'default/last': 'a' });
});

test('catching up fails in words when the server stays silent', async () => {
  const { informer } = await follow(configMaps);
  await informer.synced(aCall());
  api.faults.before = ({ verb }) => (verb === 'watch' ? 'hang' : 'ok');
  api.cutWatches();
  await admin.create(configMap('unseen', 'a'));
  await expect(informer.caughtUp(aCall({ deadline: Deadline.after(300) }))).rejects.toMatchObject({
    code: 'cluster.unavailable',
    kind: 'retryable',
    message: expect.stringContaining('ConfigMaps of all namespaces'),
  });
});

test('where no watch comes about for a while, who waits is told by a list', async () => {
  const { informer } = await follow(configMaps);
  await catchingUp(informer);
  api.faults.before = ({ verb }) => (verb === 'watch' ? 'cut' : 'ok');
  api.cutWatches();
  for (const name of ['one', 'two']) {
    await admin.create(configMap(name, name));
    await catchingUp(informer);
    expect(contents(informer)).toMatchObject({ [`default/${name}`]: name });
  }
  api.faults.before = () => 'ok';
  await admin.create(configMap('three', 'three'));
  await expect.poll(() => informer.objects.size).toBe(3);
});

test('when the server was put back to an older state, it lists again instead of waiting for its future', async () => {
  const named = (name: string) => ({ metadata: { name, namespace: 'default', resourceVersion: '1' } });
  let state = { items: [named('before'), named('lost')], resourceVersion: '900', continue: undefined };
  const watched: string[] = [];
  const collections = {
    page: async () => state,
    watch: (_of: unknown, { version }: { version: string }, signal: AbortSignal) => {
      watched.push(version);
      return new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  };
  const informer = startInformer({ name: 'old', collections } as unknown as Cluster, {
    of: configMaps,
    keep: ({ metadata }) => metadata.name,
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
  });
  followed.push(informer);
  await catchingUp(informer);
  state = { items: [named('before')], resourceVersion: '500', continue: undefined };
  await catchingUp(informer);
  expect(contents(informer)).toEqual({ 'default/before': 'before' });
  await expect.poll(() => watched.at(-1)).toBe('500');
});

test('of a Secret only the metadata comes over the wire', async () => {
  const { informer, seen } = await follow({ apiVersion: 'v1', kind: 'Secret', metadataOnly: true });
  await informer.synced(aCall());
  const secret = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default', labels: { app: 'x' } },
    stringData: { password: 'marker-of-this-test' },
  });
  await admin.create(secret('watched'));
  await catchingUp(informer);
  expect(seen.find(({ metadata }) => metadata.name === 'watched')?.metadata.labels).toEqual({ app: 'x' });
  const { informer: later, seen: listed } = await follow({
    apiVersion: 'v1',
    kind: 'Secret',
    metadataOnly: true,
  });
  await later.synced(aCall());
  expect(listed.length).toBeGreaterThan(0);
  for (const object of [...seen, ...listed]) {
    expect(Object.keys(object).sort()).toEqual(['apiVersion', 'kind', 'metadata']);
    expect(JSON.stringify(object)).not.toContain(Buffer.from('marker-of-this-test').toString('base64'));
  }
});

test('a kind that is not there, or that may not be listed, is told at once, and found when it comes', async () => {
  const { informer: absent } = await follow({ apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout' });
  await expect(absent.synced(aCall())).rejects.toMatchObject({ code: 'cluster.not-found' });
  api.addUser('nobody');
  const { informer: forbidden } = await follow(configMaps, { user: 'nobody' });
  await expect(forbidden.synced(aCall())).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringMatching(/nobody may not list configmap/),
  });
  await admin.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'nobody' },
    subjects: [{ kind: 'User', name: 'nobody', apiGroup: 'rbac.authorization.k8s.io' }],
    roleRef: { kind: 'ClusterRole', name: 'cluster-admin', apiGroup: 'rbac.authorization.k8s.io' },
  });
  await expect.poll(() => forbidden.status().synced).toBe(true);
});

test('stopped, it asks nothing more, even in the middle of a pause or a request that hangs', async () => {
  const { informer } = await follow(configMaps);
  await informer.synced(aCall());
  await informer.stop();
  api.faults.before = () => 'hang';
  const { informer: hanging } = await follow(configMaps);
  await hanging.stop();
  const lists = countLists();
  api.faults.before = (request) => {
    lists.see(request);
    return 'ok';
  };
  await admin.create(configMap('after', 'a'));
  expect(informer.objects.size).toBe(0);
  expect(lists.count()).toBe(0);
  await expect(hanging.synced(aCall())).rejects.toMatchObject({ code: 'cluster.unavailable' });
});

function countLists() {
  let lists = 0;
  return {
    see: ({ verb }: { readonly verb: string }) => {
      if (verb === 'list') lists += 1;
    },
    count: () => lists,
  };
}
