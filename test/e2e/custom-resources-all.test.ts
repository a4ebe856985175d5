import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { knownKinds } from '../../orchestrator/cli/manifest-files.ts';
import { startReconciler } from '../../orchestrator/cluster/reconciler.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import type { FaultRequest } from '../../sandbox/api/faults.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { kubeconfigClusters } from '../../workers/kubernetes/cluster.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Answered, condition, randomPolicy } from './custom-resources-stage.ts';

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

async function follow(): Promise<() => Promise<void>> {
  const orchestrator: Orchestrator = {
    ledger: fresh.ledger,
    registries: knownKinds(),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('key'),
    localStore: { kind: 'local', spec: { path: '/nowhere' } },
    anchorFile: undefined,
    wake: async () => undefined,
  };
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
  await expect.poll(acceptedNames, { timeout: 30_000 }).toEqual(['shop/a', 'web/a']);
});

test('each of many objects is told once, and after a restart none is told again', async () => {
  await install();
  const names = Array.from({ length: 200 }, (_, index) => `p-${index}`);
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
  await expect.poll(reason, { timeout: 30_000 }).toBe('Superseded');
  await expect(getPolicy(fresh.ledger, 'default/restored')).rejects.toThrow('there is no policy');
});

test('an object that the ledger can not take holds up no other', async () => {
  await install();
  await apply('nul', 'default', { consumers: [{ name: 'a', none: { acknowledged: true, reason: 'a\0b' } }] });
  await apply('fine', 'default');
  await follow();
  await expect.poll(acceptedNames, { timeout: 30_000 }).toEqual(['default/fine']);
  const refused = (await policies()).find(({ metadata }) => metadata.name === 'nul');
  expect(condition(refused, 'Accepted')).toMatchObject({ status: 'False', reason: 'NotApplied' });
});
