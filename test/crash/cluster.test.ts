import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1Deployment, V1Service } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Rotation } from '../../ledger/rotations.ts';
import { stopTestCluster, type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { type Stage, setStage } from './stage.ts';

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
  await startPods();
});
afterEach(async () => {
  await namespace.remove();
  await stage.stop();
  await rm(reports, { recursive: true, force: true });
});
afterAll(stopTestCluster);

const strategies = {
  rolling: { deployment: 'web', secretName: 'db' },
  blueGreen: { deployment: 'web', service: 'web', secretName: 'db' },
} as const;

const POINTS = [
  'forward:deliver:performed',
  'forward:rollout:announced',
  'forward:rollout:performed',
  'forward:revoke:performed',
  'forward:prove:performed',
];

describe.each(Object.entries(strategies))(
  'pods of a deployment take the credential from a Secret, %s',
  (kind, spec) => {
    test('the rotation is done, no pod was ever refused, and each runs the new version', {
      timeout: 120_000,
    }, async () => {
      await stage.startWorker();
      const rotation = await rotate(kind, spec);
      expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
      await expectAllOn(rotation.newVersion ?? '');
      expect(await refusals()).toEqual([]);
    });

    test('workers killed at every point that touches the cluster, in turn: it ends done, no pod was refused', {
      timeout: 180_000,
    }, async () => {
      const rotating = rotate(kind, spec);
      for (const point of POINTS) {
        const doomed = await stage.startWorker({ point, signal: 'SIGKILL' });
        expect(await doomed.exited, `${point}\n${doomed.output()}`).toBe('SIGKILL');
      }
      await stage.startWorker();
      const rotation = await rotating;
      expect(rotation, JSON.stringify(rotation.error)).toMatchObject({ state: 'done', recovered: true });
      await expectAllOn(rotation.newVersion ?? '');
      expect(await refusals()).toEqual([]);
    });

    test('pods that never become ready: rolled back, the Service never led to them, nobody was refused', {
      timeout: 120_000,
    }, async () => {
      await stage.startWorker();
      const before = (await served()).map(({ pod }) => pod).sort();
      await writeFile(join(reports, 'ill'), '');
      const rotation = await rotate(kind, spec);
      expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'rollout.unhealthy' } });
      expect(rotation.error?.what).toMatch(/deployment .*web/);
      const service = await cluster.api.read<V1Service>(named('v1', 'Service'));
      expect(service.spec?.selector).toEqual({ app: 'web' });
      // Blue was never touched: the very same pods still serve.
      if (kind === 'blueGreen') expect((await running()).sort()).toEqual(before);
      expect(await refusals()).toEqual([]);
    });
  },
);

async function rotate(kind: string, spec: object): Promise<Rotation> {
  const data = {
    host: '{{host}}',
    port: '{{port}}',
    name: '{{dbname}}',
    user: '{{username}}',
    password: '{{password}}',
    version: '{{versionId}}',
  };
  const secret = { kind: 'secret', spec: { name: 'db', namespaces: [namespace.name], data, adopt: true } };
  const consumer = { name: 'web', kind, spec: { ...spec, namespace: namespace.name } };
  const id = await stage.startRotation({
    deliver: [...stage.spec.deliver, secret],
    consumers: [...stage.spec.consumers, consumer],
  });
  return stage.ended(id);
}

/** Three pods behind a Service, on the credential that the application uses today. */
async function startPods(): Promise<void> {
  const { app } = stage;
  const data = {
    host: '127.0.0.1',
    port: String(app.port),
    name: app.name,
    user: app.initial.username,
    password: app.initial.password,
    version: 'v0',
  };
  const from = (key: string) => ({ valueFrom: { secretKeyRef: { name: 'db', key } } });
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db' },
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  });
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await namespace.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 2,
      progressDeadlineSeconds: 6,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'web',
              image: 'sandbox/node',
              command: [fileURLToPath(new URL('pod-client.ts', import.meta.url)), reports],
              env: [
                { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                { name: 'DB_HOST', ...from('host') },
                { name: 'DB_PORT', ...from('port') },
                { name: 'DB_NAME', ...from('name') },
                { name: 'DB_USER', ...from('user') },
                { name: 'DB_PASSWORD', ...from('password') },
                { name: 'DB_VERSION', ...from('version') },
              ],
              readinessProbe: {
                exec: { command: ['/bin/sh', '-c', `test -e "${reports}/$POD.ready"`] },
                periodSeconds: 1,
                failureThreshold: 1,
              },
            },
          ],
        },
      },
    },
  });
  const available = async () =>
    (await cluster.api.read<V1Deployment>(named('apps/v1', 'Deployment'))).status?.availableReplicas;
  await expect.poll(available, { timeout: 30_000 }).toBe(2);
}

function named(apiVersion: string, kind: string) {
  return { apiVersion, kind, metadata: { name: 'web', namespace: namespace.name } };
}

async function running(): Promise<string[]> {
  const { items } = await cluster.api.list('v1', 'Pod', namespace.name);
  return items.flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']));
}

async function served(): Promise<{ pod: string; version: string }[]> {
  const files = (await readdir(reports)).filter((name) => name.endsWith('.served'));
  return Promise.all(
    files.map(async (file) => {
      const [version = ''] = (await readFile(join(reports, file), 'utf8')).split(' ');
      return { pod: file.replace('.served', ''), version };
    }),
  );
}

/** What the processes themselves say, once the pods of before are gone. */
async function expectAllOn(version: string): Promise<void> {
  await expect.poll(async () => (await running()).length, { timeout: 20_000 }).toBe(2);
  const reported = async () => {
    const all = await served();
    return (await running()).map((pod) => all.find((each) => each.pod === pod)?.version);
  };
  // A pod may be writing its report in this very moment.
  await expect.poll(reported, { timeout: 10_000 }).toEqual([version, version]);
}

async function refusals(): Promise<readonly string[]> {
  const text = await readFile(join(reports, 'refusals'), 'utf8').catch(() => '');
  return [...text.split('\n').filter((line) => line !== ''), ...stage.client.refusals];
}
