import { afterAll, expect, onTestFinished, test } from 'vitest';
import { startPrometheusDouble } from '../doubles/prometheus.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { deployment, openTwin, template } from './cluster-scenarios.ts';
import { anOperatedShop, aReloadedShop } from './delegated-scenarios.ts';
import { opened } from './opened-shop.ts';
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

function bySubPath(reports: string) {
  const made = deployment(reports);
  const mounted = template(reports, {
    env: [{ name: 'VERSION', value: 'v0' }],
    volumes: [{ name: 'db', secret: { secretName: 'db' } }],
    volumeMounts: [{ name: 'db', mountPath: '/etc/db', subPath: 'version' }],
  });
  return { ...made, spec: { ...made.spec, template: mounted } };
}
