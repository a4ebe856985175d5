import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { systemClock } from '../../core/clock.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { listClusterObjects } from '../../ledger/cluster-objects.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { knownKinds } from '../../orchestrator/cli/manifest-files.ts';
import { applyAll } from '../../orchestrator/cluster/apply.ts';
import { customResource } from '../../orchestrator/cluster/custom-resource.ts';
import { readResource } from '../../orchestrator/cluster/reading.ts';
import { startReconciler } from '../../orchestrator/cluster/reconciler.ts';
import { retire } from '../../orchestrator/cluster/retire.ts';
import { manifestSchemas } from '../../orchestrator/manifests/schemas.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import type { FaultRequest } from '../../sandbox/api/faults.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Answered, condition, randomPolicy } from './custom-resources-stage.ts';

vi.setConfig({ testTimeout: 300_000 });

const CRDS = join(import.meta.dirname, '../../charts/rotor/crds');

// Only in the sandbox: on a cluster that others use this would take up their policies.
let api: SandboxApi;
let objects: KubernetesObjectApi;
let fresh: TestLedger;
let writes: FaultRequest[];
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  api = await startApiServer();
  writes = [];
  api.faults.before = (request) => {
    if (request.group === 'rotor.dev' && request.user === 'rotor' && request.method !== 'GET')
      writes.push(request);
    return 'ok';
  };
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  objects = KubernetesObjectApi.makeApiClient(config);
  fresh = await freshLedger();
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await fresh.drop();
  await api.stop();
});

function orchestratorOf({ ledger }: TestLedger): Orchestrator {
  return {
    ledger,
    registries: knownKinds(),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('key'),
    localStore: { kind: 'local', spec: { path: '/nowhere' } },
    anchorFile: undefined,
    wakeIncident: async () => undefined,
    wake: async () => undefined,
  };
}

async function follow(): Promise<() => Promise<void>> {
  const orchestrator = orchestratorOf(fresh);
  api.addUser('rotor', ['system:masters']);
  const { stop } = await startReconciler({
    orchestrator,
    clusters: kubeconfigClusters((config) => config.loadFromString(api.kubeconfig('rotor'))),
    namespaces: '*',
    lookMs: 50,
  });
  stops.push(stop);
  return stop;
}

async function install(): Promise<void> {
  for (const file of await readdir(CRDS)) {
    await objects.create(parse(await readFile(join(CRDS, file), 'utf8')) as KubernetesObject);
  }
  const known = () =>
    objects.list('rotor.dev/v1alpha1', 'RotationPolicy').then(
      ({ items }) => items,
      () => undefined,
    );
  await expect.poll(known).toEqual([]);
}

async function apply(name: string, namespace: string, more: object = {}): Promise<void> {
  const { metadata, ...rest } = randomPolicy(name, namespace, more) as Answered;
  await objects.create({ ...rest, metadata: { ...metadata, namespace } });
}

const policies = async (): Promise<readonly Answered[]> =>
  (await objects.list('rotor.dev/v1alpha1', 'RotationPolicy')).items;
const acceptedNames = async () =>
  (await policies())
    .filter((each) => condition(each, 'Accepted')?.status === 'True')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    .sort();

test('all namespaces are followed, also when the definitions come later than Rotor', async () => {
  await follow();
  for (const name of ['shop', 'web']) {
    await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  await install();
  await apply('a', 'shop');
  await apply('a', 'web');
  await expect.poll(acceptedNames, { timeout: 60_000 }).toEqual(['shop/a', 'web/a']);
});

test('each of many objects is told once, and after a restart none is told again', async () => {
  await install();
  const names = Array.from({ length: 50 }, (_, index) => `p-${index}`);
  for (const name of names) await apply(name, 'default');
  // Nobody plans here, so what was applied stays to be planned, and is looked at again and again.
  const stop = await follow();
  const all = async () => (await acceptedNames()).length;
  await expect.poll(all, { timeout: 60_000, interval: 200 }).toBe(names.length);
  await stop();
  expect(writes.length).toBeGreaterThanOrEqual(names.length);
  expect(new Set(writes.map(({ subresource }) => subresource))).toEqual(new Set(['status']));
  writes = [];
  await follow();
  await apply('last', 'default');
  await expect.poll(all, { timeout: 60_000, interval: 200 }).toBe(names.length + 1);
  expect(writes.map(({ name }) => name)).toEqual(['last']);
});

test('an object of which the ledger knows a newer generation is not applied over it, and says so', async () => {
  await install();
  await apply('restored', 'default', { deadline: '1h' });
  await fresh.ledger.query(
    `INSERT INTO rotor.cluster_objects SELECT 'RotationPolicy', 'default', 'restored', $1, now(), 9`,
    [(await policies())[0].metadata.uid],
  );
  await follow();
  const reason = async () => condition((await policies())[0], 'Accepted')?.reason;
  await expect.poll(reason, { timeout: 60_000 }).toBe('Superseded');
  await expect(getPolicy(fresh.ledger, 'default/restored')).rejects.toThrow('there is no policy');
});

test('an object that the ledger can not take holds up no other', async () => {
  await install();
  await apply('nul', 'default', { consumers: [{ name: 'a', none: { acknowledged: true, reason: 'a\0b' } }] });
  await apply('fine', 'default');
  await follow();
  await expect.poll(acceptedNames, { timeout: 60_000 }).toEqual(['default/fine']);
  const reason = async () => {
    const refused = (await policies()).find(({ metadata }) => metadata.name === 'nul');
    return condition(refused, 'Accepted')?.reason;
  };
  await expect.poll(reason, { timeout: 60_000 }).toBe('NotApplied');
});

/** Keeps Rotor from hearing anything more, while it may still ask. */
async function deafen(): Promise<FaultRequest[]> {
  const asked: FaultRequest[] = [];
  api.faults.before = (request) => {
    if (request.user !== 'rotor' || request.group !== 'rotor.dev') return 'ok';
    if (request.verb === 'get') asked.push(request);
    const isDeaf = request.verb === 'watch' || request.verb === 'list';
    return isDeaf ? { status: 503, reason: 'ServiceUnavailable' } : 'ok';
  };
  api.cutWatches();
  return asked;
}

test('a process that does not hear that an object is gone does not apply it again', async () => {
  await install();
  await apply('gone', 'default');
  await follow();
  await expect.poll(acceptedNames, { timeout: 60_000 }).toEqual(['default/gone']);
  const uid = (await policies())[0].metadata.uid;
  const asked = await deafen();
  await objects.delete({
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'RotationPolicy',
    metadata: { name: 'gone', namespace: 'default' },
  });
  // Another process hears of it.
  await retire(orchestratorOf(fresh), {
    kind: 'RotationPolicy',
    namespace: 'default',
    name: 'gone',
    uid,
    bornAt: new Date(),
    generation: 1,
  });
  await expect.poll(() => asked.length, { timeout: 60_000 }).toBeGreaterThan(2);
  expect((await getPolicy<Answered>(fresh.ledger, 'default/gone')).spec.suspend).toBe(true);
});

test('a process that has not heard of an object yet does not take it for gone', async () => {
  await install();
  await apply('first', 'default');
  await follow();
  await expect.poll(acceptedNames, { timeout: 60_000 }).toEqual(['default/first']);
  const asked = await deafen();
  await apply('second', 'default');
  const second = (await policies()).find(({ metadata }) => metadata.name === 'second');
  // Another process hears of it.
  const resource = customResource('RotationPolicy', second);
  if (!resource) throw new Error('it is there');
  const reading = readResource(resource, manifestSchemas(knownKinds()));
  if (!reading.accepted) throw new Error(reading.problems.join());
  await applyAll(orchestratorOf(fresh), [{ resource, manifest: reading.manifest }]);
  await expect.poll(() => asked.map(({ name }) => name), { timeout: 60_000 }).toContain('second');
  expect((await getPolicy<Answered>(fresh.ledger, 'default/second')).spec.suspend).toBe(false);
  expect((await listClusterObjects(fresh.ledger, 'default')).map(({ name }) => name)).toEqual([
    'first',
    'second',
  ]);
});
