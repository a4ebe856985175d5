import { PatchStrategy, type V1Deployment, type V1Pod, type V1Service } from '@kubernetes/client-node';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { podUrl } from '../../workers/kubernetes/pod-address.ts';
import { BLUE, SLOT } from '../../workers/rollouts/blue-green/twin.ts';
import type { Going } from '../../workers/rollouts/rollout.ts';
import { startPrometheusDouble } from '../doubles/prometheus.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, testCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { aVersion } from '../setup/versions.ts';
import { aShop, deliverVersion, deployment, openTwin, type Shop, template } from './cluster-scenarios.ts';
import { anOperatedShop, aReloadedShop } from './delegated-scenarios.ts';
import { aMountedShop } from './pod-reload-scenarios.ts';

afterAll(stopTestCluster);

const quick = { interval: '10ms', attempts: 3 };

test('a closed gate ends the rollout with its own words; no client met the twin, and the Deployment was never touched', async () => {
  const prometheus = await startPrometheusDouble();
  onTestFinished(() => prometheus.stop());
  prometheus.gives(0.001, 0.5);
  const gates = [
    { http: { port: 8080, path: '/', versionPointer: '/db/running' }, ...quick },
    { prometheus: { url: prometheus.url, query: 'error_rate', expect: '< 0.01' }, ...quick },
  ];
  const shop = await opened({ open: openTwin(gates, []) });
  const before = await shop.read();
  const pods = await shop.pods();
  await shop.deliver('v1');
  const closed = {
    code: 'rollout.unhealthy',
    message: expect.stringMatching(
      /gate prometheus "error_rate" < 0.01 is closed to deployment .*green.*instance="pod-1" is 0.5 instead of < 0.01 \(3 bad looks\)/,
    ),
  };
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject(closed);
  expect(prometheus.asked).toEqual(['error_rate', 'error_rate', 'error_rate']);
  expect(await shop.running()).toBe('v0');
  // Asked again by another worker, the gate stays closed though all would be well now.
  prometheus.gives(0);
  expect(await shop.move('forward', 'v1')).toMatchObject(closed);
  expect(prometheus.asked).toHaveLength(3);

  await shop.deliver('v0');
  await expect.poll(() => shop.move('back', 'v0'), { timeout: 20_000 }).toMatchObject({ healthy: true });
  expect((await shop.read()).spec).toEqual(before.spec);
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop' });
  await expect.poll(() => shop.pods(), { timeout: 20_000 }).toEqual(pods);
});

test('on the way back the Service leads to the Deployment alone while a pod of the twin is still there', async () => {
  const shop = await opened({ open: openTwin([], []) });
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  // A cluster removes the pods of what was deleted when it comes to it.
  const remove = await shop.strayPod({ app: 'shop', [SLOT]: 'gone' });
  await shop.deliver('v0');
  await expect
    .poll(() => shop.move('back', 'v0'), { timeout: 20_000 })
    .toEqual({ notYet: expect.stringMatching(/^pod .*\/stray of its twin is about to be removed$/) });
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop', [SLOT]: BLUE });
  expect(await shop.running()).toBe('v0');
  await remove();
  await expect.poll(() => shop.move('back', 'v0'), { timeout: 20_000 }).toMatchObject({ healthy: true });
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop' });
});

test('while the twin waits, pods that the Deployment gets are led to as well, and the twin gets as many', async () => {
  const prometheus = await startPrometheusDouble();
  onTestFinished(() => prometheus.stop());
  prometheus.gives(0.5);
  const gate = { prometheus: { url: prometheus.url, query: 'error_rate', expect: '< 0.01' } };
  const shop = await opened({ open: openTwin([{ ...gate, ...quick, attempts: 1000 }], []) });
  await shop.deliver('v1');
  const atGate = { notYet: expect.stringMatching(/gate prometheus/) };
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toEqual(atGate);
  const before = await shop.reached();
  expect(before).toHaveLength(2);

  await shop.removePod(before[0] ?? '');
  await shop.patch({ spec: { replicas: 3 } });
  await expect
    .poll(
      async () => {
        await shop.move('forward', 'v1');
        return (await shop.reached()).filter((name) => name !== before[0]);
      },
      { timeout: 30_000 },
    )
    .toHaveLength(3);
  expect(await shop.replicas()).toEqual([3, 3]);
  prometheus.gives(0);
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.reached()).toHaveLength(3);
});

test('the twin is kept until no pod of before is left, those on their way out included', async () => {
  const shop = await opened({ open: openTwin([], []) });
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  const remove = await shop.strayPod({ app: 'shop' });
  const finish = () =>
    shop.session.finish?.(aCall(), aVersion('v1')).catch((error: unknown): unknown => error);
  await expect
    .poll(finish, { timeout: 30_000 })
    .toEqual({ notYet: expect.stringMatching(/pod stray of before is still there/) });
  expect(await shop.replicas()).toHaveLength(2);
  await remove();
  await expect.poll(finish, { timeout: 30_000 }).toBeUndefined();
  expect(await shop.replicas()).toHaveLength(1);
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop' });
});

test('a gate that the twin itself answers is closed while a pod of it names another version', async () => {
  const gates = [{ http: { port: 'http', path: '/', versionPointer: '/db/mounted/none' }, ...quick }];
  const shop = await opened({ open: openTwin(gates, []) });
  await shop.deliver('v1');
  await expect
    .poll(() => shop.move('forward', 'v1'), { timeout: 30_000 })
    .toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(/gate http :http\/ is closed .*pod shop-green.*names no version/),
    });
  expect(await shop.running()).toBe('v0');
});

test('a gate may run only what the operator allowed, and plan says so', async () => {
  const gates = [{ command: { run: ['/bin/true'] } }];
  const shop = await opened({ open: openTwin(gates, [['/bin/false']]) });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({ code: 'rollout.command-not-allowed' });
  await shop.deliver('v1');
  expect(await shop.move('forward', 'v1')).toMatchObject({ code: 'rollout.command-not-allowed' });
  expect(await shop.pods()).toHaveLength(2);
});

test('a delegate that does not act ends the rollout with what to look at; Rotor restarts nothing itself', async () => {
  const shop = await opened(aReloadedShop({ timeout: '2s' }, 'none'));
  await shop.session.plan(aCall());
  const pods = await shop.pods();
  const before = await shop.read();
  await shop.deliver('v1');
  expect(await shop.move('forward', 'v1')).toMatchObject({
    notYet: expect.stringMatching(
      /pod shop-.* has run since before the version was written; reloader restarts it/,
    ),
  });
  await expect
    .poll(() => shop.move('forward', 'v1'), { timeout: 20_000 })
    .toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(/deployment .*shop .*reloader has not done its part/),
      hint: expect.stringMatching(/See that reloader runs/),
    });
  expect(await shop.pods()).toEqual(pods);
  expect((await shop.read()).metadata?.generation).toBe(before.metadata?.generation);
});

test.each([
  ['a delegate', () => aReloadedShop()],
  ['podReload', () => aMountedShop('file')],
])(
  'where each version has a Secret of its own, %s proves nothing: nobody changes the name that the pods read',
  async (_, kind) => {
    const shop = await opened(kind());
    await shop.deliverVersioned('v1');
    expect(await shop.move('forward', 'v1')).toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(
        /version v1 is delivered as secret \S+\/db-[0-9a-f]{12} .*the pods read, db$/,
      ),
    });
  },
);

test("where Vault's operator doesn't run, nothing comes, and it is told what is waited for", async () => {
  const shop = await opened(anOperatedShop({}, 'none'));
  await shop.session.plan(aCall());
  const pods = await shop.pods();
  await shop.deliver('v1');
  expect(await shop.move('forward', 'v1')).toEqual({
    notYet: expect.stringMatching(/vaultstaticsecret \S+\/db in cluster .*secret \S+\/db: its key/),
  });
  expect(await shop.pods()).toEqual(pods);
});

test('an operator that copies and restarts nobody is refused, and seen where it is changed later', async () => {
  const silent = { rolloutRestartTargets: [{ kind: 'Deployment', name: 'other' }] };
  const shop = await opened(anOperatedShop({ timeout: '2s' }, 'there', silent));
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(/rolloutRestartTargets don't name Deployment shop/),
  });
  await shop.deliver('v1');
  await expect
    .poll(() => shop.move('forward', 'v1'), { timeout: 20_000 })
    .toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(/vault-secrets-operator has not done its part/),
    });
});

test.each([
  ['Reloader', aReloadedShop],
  ["Vault's operator", anOperatedShop],
])('%s restarts once: the proof of the same version twice is of the same pods', async (_, delegated) => {
  const shop = await opened(delegated());
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  const [pods, { metadata }] = [await shop.pods(), await shop.read()];
  expect(await shop.move('forward', 'v1')).toMatchObject({
    healthy: true,
    pods: [
      { by: 'started-after', onVersion: true },
      { by: 'started-after', onVersion: true },
    ],
  });
  expect(await shop.pods()).toEqual(pods);
  expect((await shop.read()).metadata?.generation).toBe(metadata?.generation);
});

test.each([
  ['as environment variables', deployment, /container web has secret db as environment variables.*rolling/],
  ['by subPath', bySubPath, /container web has secret db by subPath.*rolling/],
])('plan refuses to reload pods that read the Secret %s', async (_, workload, words) => {
  const shop = await opened({ ...aMountedShop('process'), workload });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(words),
  });
});

test('a pod that appears in the middle of a reload is in the proof too', async () => {
  const shop = await opened(aMountedShop('file'));
  await shop.deliver('v1');
  await shop.move('forward', 'v1');
  await shop.patch({ spec: { replicas: 3 } });
  await expect
    .poll(() => shop.move('forward', 'v1'), { timeout: 30_000 })
    .toMatchObject({ healthy: true, pods: [{}, {}, { by: 'acknowledged' }] });
  expect(await shop.running()).toBe('v1');
});

test('on the way back a pod is told again though it once took that version: it may have started with the other since', async () => {
  const shop = await opened(aMountedShop('file'));
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  await shop.deliver('v2');
  // As programs do that are started again.
  await expect
    .poll(
      async () => {
        await shop.reloadByHand();
        return shop.running();
      },
      { timeout: 20_000 },
    )
    .toBe('v2');
  await shop.deliver('v1');
  const known = { before: undefined, since: new Date() };
  const back = () =>
    shop.session.move(aCall(), aVersion('v1'), 'back', 0, known).catch((error: unknown): unknown => error);
  await expect.poll(back, { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.running()).toBe('v1');
});

async function opened(shop: Shop) {
  let namespace = '';
  const scenario = await aShop({
    ...shop,
    open: (clusters, name) => {
      namespace = name;
      return shop.open(clusters, name);
    },
  });
  const { api } = await testCluster();
  const ref = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop', namespace } };
  return {
    ...scenario,
    deliver: async (versionId: string) => {
      await laterSecond();
      await scenario.deliver(versionId);
    },
    deliverVersioned: async (versionId: string) => deliverVersion(await testCluster(), namespace, versionId),
    reloadByHand: async () => {
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      for (const pod of items)
        await fetch(podUrl(pod, { port: 8080, path: '/reload' }) as string, { method: 'POST' });
    },
    /** What it answers or throws. */
    move: (going: Going, versionId: string): Promise<unknown> =>
      scenario.session.move(aCall(), aVersion(versionId), going).catch((error: unknown) => error),
    read: () => api.read<V1Deployment>(ref),
    /** A pod that nobody made and no node takes. @returns removes it */
    strayPod: async (labels: Readonly<Record<string, string>>) => {
      const metadata = { name: 'stray', namespace, labels };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata };
      const spec = { nodeSelector: { no: 'node' }, containers: [{ name: 'web', image: 'none' }] };
      await api.create({ ...pod, spec } as V1Pod);
      return () => api.delete(pod);
    },
    service: () => api.read<V1Service>({ ...ref, apiVersion: 'v1', kind: 'Service' }),
    /** The pods that the Service's selector finds. */
    reached: async () => {
      const { spec } = await api.read<V1Service>({ ...ref, apiVersion: 'v1', kind: 'Service' });
      const wanted = Object.entries(spec?.selector ?? {});
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      return items
        .filter(({ metadata }) => wanted.every(([name, value]) => metadata?.labels?.[name] === value))
        .map(({ metadata }) => metadata?.name ?? '');
    },
    removePod: (name: string) => api.delete({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } }),
    /** Of the Deployment and its twins. */
    replicas: async () => {
      const { items } = await api.list<V1Deployment>('apps/v1', 'Deployment', namespace);
      return items.map(({ spec }) => spec?.replicas);
    },
    patch: (changes: object) =>
      api.patch({ ...ref, ...changes }, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch),
    pods: async () => {
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      return items
        .flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']))
        .sort();
    },
  };
}

function bySubPath(reports: string) {
  const made = deployment(reports);
  const mounted = template(reports, {
    env: [{ name: 'VERSION', value: 'v0' }],
    volumes: [{ name: 'db', secret: { secretName: 'db' } }],
    volumeMounts: [{ name: 'db', mountPath: '/etc/db', subPath: 'version' }],
  });
  return { ...made, spec: { ...made.spec, template: mounted } };
}
