import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { readJournal } from '../../ledger/journal.ts';
import type { Rotation } from '../../ledger/rotations.ts';
import { CSI_DRIVER } from '../../workers/kubernetes/mounts/decide.ts';
import { configOf, install } from '../doubles/installed.ts';
import { podStatusDefinition } from '../doubles/secrets-store-csi/definition.ts';
import { type DriverDouble, type Stored, startDriverDouble } from '../doubles/secrets-store-csi/driver.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { type Pods, startPods, twoPods } from './pods.ts';
import type { Stage } from './stage.ts';
import { turnsOf } from './turns.ts';

let pods: Pods;
let files: string;
let driver: DriverDouble;

beforeEach(async () => {
  files = await mkdtemp(join(tmpdir(), 'rotor-mounts-'));
  pods = await startPods({
    client: 'mounted-client.ts',
    workload: (template) => twoPods(mountingTheStore(template)),
    prepare: async (cluster, { namespace, stage }) => {
      await install(cluster, [podStatusDefinition]);
      driver = await startDriverDouble(configOf(cluster), namespace.name, files, () => storedIn(stage));
    },
  });
});
afterEach(async () => {
  await driver.stop();
  await pods.stop();
  await rm(files, { recursive: true, force: true });
});
afterAll(stopTestCluster);

const spec = { deployment: 'web', secretProviderClass: 'shop-db' };

test.each(turnsOf(['forward:rollout:performed', 'forward:settle:performed']))(
  'pods judged by what the CSI driver mounted, workers killed at $at, in turn: done, each runs the new version, no pod was refused',
  { timeout: 120_000 },
  async ({ points }) => {
    const rotating = pods.rotate('rolling', spec);
    // One that ends too early kills nobody: its journal tells why.
    await Promise.race([pods.killWorkersAt(points), rotating]);
    const rotation = await rotating;
    const told = await pods.stage.journal(rotation.id);
    expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
    await pods.expectAllOn(rotation.newVersion ?? '');
    const current = Object.values((await storedIn(pods.stage)).versions);
    expect(await mountedAt(rotation, 'forward')).toEqual([current, current]);
    expect(await pods.refusals()).toEqual([]);
  },
);

test('pods that never become ready, and a worker killed on the way back: judged by the versions of before, nobody was refused', {
  timeout: 120_000,
}, async () => {
  const before = await pods.running();
  const versions = Object.values((await storedIn(pods.stage)).versions);
  await pods.sicken();
  const doomed = await pods.stage.startWorker({ point: 'back:rollout:performed', signal: 'SIGKILL' });
  const rotating = pods.rotate('rolling', spec);
  expect(await doomed.exited).toBe('SIGKILL');
  await pods.heal();
  await pods.stage.startWorker();
  const rotation = await rotating;
  expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'rollout.unhealthy' } });
  expect(await pods.running()).toEqual(before);
  expect(await mountedAt(rotation, 'back')).toEqual([versions, versions]);
  expect(await pods.refusals()).toEqual([]);
});

/** What a provider gives of the store: the document for the pods' program, and a hash as its version. */
async function storedIn({ app, stored }: Stage): Promise<Stored> {
  const { versionId: version, document } = (await stored()) ?? { versionId: 'v0', document: app.initial };
  const { username: user, password = '' } = document as Readonly<Record<string, string>>;
  const content = { host: '127.0.0.1', port: app.port, database: app.name, user, password, version };
  const reported = createHash('sha256').update(`key ${password}`).digest('base64url');
  return { content: JSON.stringify(content), versions: { 'shop/app': reported } };
}

function mountingTheStore(template: object): object {
  const { spec: pod, ...rest } = template as { spec: { containers: { env: object[] }[] } };
  const csi = { driver: CSI_DRIVER, readOnly: true, volumeAttributes: { secretProviderClass: 'shop-db' } };
  const env = [
    { name: 'MOUNTS', value: files },
    { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
  ];
  const containers = pod.containers.map((container) => ({ ...container, env: [...container.env, ...env] }));
  return { ...rest, spec: { ...pod, volumes: [{ name: 'db', csi }], containers } };
}

/** The versions by which the pods were proven, pod by pod. */
async function mountedAt({ id }: Rotation, direction: 'forward' | 'back') {
  const proven = (await readJournal(pods.stage.test.ledger, id)).findLast(
    (row) => row.direction === direction && row.step === 'rollout' && row.event === 'done',
  );
  const proofs = proven?.facts.proofs as {
    consumer: string;
    pods?: { by: string; mounted: Record<string, string> }[];
  }[];
  const seen = proofs.find(({ consumer }) => consumer === 'web')?.pods ?? [];
  return seen.flatMap(({ by, mounted }) => (by === 'mounted' ? [Object.values(mounted)] : []));
}
