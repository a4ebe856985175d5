import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { getRotation } from '../../ledger/rotations.ts';
import { CSI_DRIVER } from '../../workers/kubernetes/mounts/decide.ts';
import { install } from '../doubles/installed.ts';
import { podStatusDefinition, providerClassDefinition } from '../doubles/secrets-store-csi/definition.ts';
import { type DriverDouble, startDriverDouble } from '../doubles/secrets-store-csi/driver.ts';
import type { Cluster } from '../sandbox/cluster.ts';
import type { TestCluster } from '../setup/cluster.ts';
import { type Stage, setStage } from './stage.ts';
import { BY_CSI_DRIVER } from './strategies.ts';
import { clusterOfWorkers } from './workers-cluster.ts';

const [kind] = BY_CSI_DRIVER;
let cluster: Cluster;
let stage: Stage | undefined;

beforeAll(async () => {
  const given = await clusterOfWorkers();
  cluster = given.cluster;
  return given.forget;
});
afterEach(async () => {
  await stage?.stop();
  stage = undefined;
});

interface Mounting {
  readonly on: Stage;
  readonly driver: DriverDouble;
  readonly deliver: Stage['spec']['deliver'];
  /** What the files of both pods have. */
  mounted(): Promise<readonly string[]>;
}

/** Two pods that mount what the store has, by a provider that reports a hash of it. */
async function mounting(): Promise<Mounting> {
  const namespace = await cluster.namespace();
  const files = await mkdtemp(join(tmpdir(), 'rotor-crash-mounts-'));
  const on = await setStage((ledgerUrl) => ledgerUrl);
  stage = on;
  const store = async () => {
    const content = (await on.stored())?.document.password ?? on.app.initial.password;
    const version = createHash('sha256').update(`key ${content}`).digest('base64url');
    return { content, versions: { 'shop/app': version } };
  };
  const there = { kubeconfig: cluster.config.exportConfig() } as TestCluster;
  await install(there, [providerClassDefinition, podStatusDefinition]);
  const driver = await startDriverDouble(cluster.config, namespace, files, store);
  onTestFinished(async () => {
    await driver.stop();
    await rm(files, { recursive: true, force: true });
  });
  const apiVersion = 'secrets-store.csi.x-k8s.io/v1';
  await cluster.objects.create({
    apiVersion,
    kind: 'SecretProviderClass',
    metadata: { name: 'db', namespace },
  });
  const csi = { driver: CSI_DRIVER, readOnly: true, volumeAttributes: { secretProviderClass: 'db' } };
  const spec = {
    nodeName: 'elsewhere',
    volumes: [{ name: 'db', csi }],
    containers: [{ name: 'web', image: 'shop' }],
  };
  for (const name of ['web-0', 'web-1'])
    await cluster.core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
  const mounted = async () => {
    const names = (await readdir(files)).filter((name) => !name.endsWith('.new'));
    return Promise.all(names.map((name) => readFile(join(files, name), 'utf8')));
  };
  const { password } = on.app.initial;
  const reported = async () => {
    const { items } = await cluster.objects.list(apiVersion, 'SecretProviderClassPodStatus', namespace);
    return items.length;
  };
  await expect.poll(reported, { timeout: 10_000, interval: 10 }).toBe(2);
  expect(await mounted()).toEqual([password, password]);
  return { on, driver, deliver: [...on.spec.deliver, { kind, spec: { name: 'db', namespace } }], mounted };
}

/** The driver's rotation comes by again and again until the rotation has ended. */
async function rotatingUntilEnded({ on, driver }: Mounting, id: string) {
  let over = false;
  const ended = on.ended(id).finally(() => {
    over = true;
  });
  while (!over) {
    await driver.rotate();
    await Promise.race([ended, systemClock.sleep(50)]);
  }
  return ended;
}

test('a worker killed while it waits for the driver: no consumer is moved before it has come by, then done', {
  timeout: 60_000,
}, async () => {
  const all = await mounting();
  const { on, deliver, mounted } = all;
  const { password } = on.app.initial;
  const id = await on.startRotation({ deliver });
  const doomed = await on.startWorker({ point: 'forward:deliver:performed', signal: 'SIGKILL' });
  expect(await doomed.exited, await on.journal(id)).toBe('SIGKILL');
  await on.startWorker();
  const waiting = async () => (await getRotation(on.test.ledger, id)).waitReason;
  await expect
    .poll(waiting, { timeout: 20_000 })
    .toMatch(/pod web-0: .* as before the rotation; pod web-1: /);
  expect(on.client.held().password).toBe(password);
  expect(await mounted()).toEqual([password, password]);

  const rotation = await rotatingUntilEnded(all, id);
  const told = await on.journal(id);
  expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
  const held = on.client.held().password;
  expect(held).not.toBe(password);
  expect(await mounted(), told).toEqual([held, held]);
  expect(on.client.refusals, told).toEqual([]);
});

test('a rotation that turns back, with workers killed on the way: the pods have the version of before again', {
  timeout: 60_000,
}, async () => {
  const all = await mounting();
  const { on, deliver, mounted } = all;
  const { password } = on.app.initial;
  let fresh: string | undefined;
  on.client.healthyWith = (versionId) => versionId !== fresh;
  const id = await on.startRotation({ deliver });
  const first = await on.startWorker({ point: 'forward:deliver:performed', signal: 'SIGKILL' });
  expect(await first.exited, await on.journal(id)).toBe('SIGKILL');
  fresh = (await on.stored())?.versionId;
  await all.driver.rotate();
  const second = await on.startWorker({ point: 'back:rollout:performed', signal: 'SIGKILL' });
  expect(await second.exited, await on.journal(id)).toBe('SIGKILL');
  // The store has its previous version again, and the pods not yet.
  expect(await on.storedPassword()).toBe(password);
  expect(await mounted()).not.toContain(password);
  await on.startWorker();
  const rotation = await rotatingUntilEnded(all, id);
  const told = await on.journal(id);
  expect(rotation, told).toMatchObject({ state: 'rolled-back', error: { code: 'rollout.unhealthy' } });
  expect(await mounted(), told).toEqual([password, password]);
  expect(on.client.refusals, told).toEqual([]);
});
