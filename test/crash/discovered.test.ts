import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Deployment } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { readJournal } from '../../ledger/journal.ts';
import type { Rotation } from '../../ledger/rotations.ts';
import { stopTestCluster, type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { DELIVERED, podTemplate, secretOf } from './pods.ts';
import { type Stage, setStage } from './stage.ts';
import { turnsOf } from './turns.ts';

let stage: Stage;
let cluster: TestCluster;
let namespace: TestNamespace;
let reports: string;

beforeEach(async () => {
  cluster = await testCluster();
  namespace = await cluster.namespace();
  reports = await mkdtemp(join(tmpdir(), 'rotor-pods-'));
  const kubeconfig = join(reports, 'kubeconfig');
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  process.env.KUBECONFIG = kubeconfig;
  stage = await setStage((ledgerUrl) => ledgerUrl);
  await namespace.create(secretOf(stage.app));
});
afterEach(async () => {
  await namespace.remove();
  await stage.stop();
  await rm(reports, { recursive: true, force: true, maxRetries: 20 });
});
afterAll(stopTestCluster);

const unlisted = () => ({
  name: 'all',
  kind: 'discovered',
  spec: { secretName: 'db', namespaces: [namespace.name] },
});

test.each(turnsOf(['forward:rollout:performed', 'forward:settle:performed']))(
  'consumers that nobody listed, and workers killed at $at: others find them again, no pod was refused',
  { timeout: 180_000 },
  async ({ points }) => {
    await Promise.all([startWorkload('web'), startWorkload('jobs')]);
    const rotating = rotate([unlisted()]);
    for (const point of points) {
      const doomed = await stage.startWorker({ point, signal: 'SIGKILL' });
      expect(await doomed.exited, `${point}\n${doomed.output()}`).toBe('SIGKILL');
    }
    await stage.startWorker();
    const rotation = await rotating;
    expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
    await expectAllOn(rotation.newVersion ?? '');
    expect(await refusals()).toEqual([]);
  },
);

test('a workload that appears in the middle of the rotation is moved before the old credential dies', {
  timeout: 180_000,
}, async () => {
  await startWorkload('web');
  await stage.startWorker();
  const rotating = rotate([unlisted()], { graceMs: 5_000 });
  await expect.poll(() => versionOf('web'), { timeout: 60_000 }).toBeDefined();
  await startWorkload('late');
  const rotation = await rotating;
  expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
  await expectAllOn(rotation.newVersion ?? '');
  expect(await versionOf('late')).toBe(rotation.newVersion);
  const settled = (await readJournal(stage.test.ledger, rotation.id)).findLast(
    ({ step, event }) => step === 'settle' && event === 'done',
  );
  const proofs = settled?.facts.proofs as { consumer: string }[];
  const where = `deployment ${namespace.name}`;
  expect(proofs.map(({ consumer }) => consumer)).toEqual([`all: ${where}/late`, `all: ${where}/web`]);
  expect(await refusals()).toEqual([]);
});

async function rotate(consumers: readonly object[], settle: object = {}): Promise<Rotation> {
  const delivered = { name: 'db', namespaces: [namespace.name], data: DELIVERED, adopt: true };
  const secret = { kind: 'secret', spec: delivered };
  const id = await stage.startRotation({
    deliver: [...stage.spec.deliver, secret],
    consumers: [...stage.spec.consumers, ...(consumers as typeof stage.spec.consumers)],
    rollout: { maxMoving: 2, pauseMs: 0, coalesceMs: 0 },
    settle: { ...stage.spec.settle, ...settle },
  });
  return stage.ended(id);
}

/** One pod that uses the credential all the time. */
async function startWorkload(name: string): Promise<void> {
  const labels = { app: name };
  await namespace.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: podTemplate('pod-client.ts', reports, name),
    },
  });
  const available = async () => (await read(name)).status?.availableReplicas;
  await expect.poll(available, { timeout: 30_000 }).toBe(1);
}

const read = (name: string) =>
  cluster.api.read<V1Deployment>({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: namespace.name },
  });

const versionOf = async (name: string) =>
  (await read(name)).spec?.template.metadata?.annotations?.['secret.rotor.dev/db'];

/** What the processes themselves say, once the pods of before are gone. */
async function expectAllOn(version: string): Promise<void> {
  const reported = async () => {
    const { items } = await cluster.api.list('v1', 'Pod', namespace.name);
    const files = await readdir(reports);
    const versions = items.map(async ({ metadata }) => {
      const file = `${metadata?.name}.served`;
      return files.includes(file) ? (await readFile(join(reports, file), 'utf8')).split(' ')[0] : 'nothing';
    });
    return [...new Set(await Promise.all(versions))];
  };
  await expect.poll(reported, { timeout: 20_000 }).toEqual([version]);
}

async function refusals(): Promise<readonly string[]> {
  const text = await readFile(join(reports, 'refusals'), 'utf8').catch(() => '');
  return [...text.split('\n').filter((line) => line !== ''), ...stage.client.refusals];
}
