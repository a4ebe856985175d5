import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1Deployment } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Rotation } from '../../ledger/rotations.ts';
import { noClusters } from '../../workers/kubernetes/cluster.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { startArgoRolloutsDouble } from '../doubles/argo-rollouts/controller.ts';
import { rolloutDefinition } from '../doubles/argo-rollouts/crd.ts';
import { install, running } from '../doubles/installed.ts';
import { startReloaderDouble } from '../doubles/reloader.ts';
import { stopTestCluster, type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { type Stage, setStage } from './stage.ts';

/** How the pods of a kind are made and moved. */
interface Kind {
  readonly spec: object;
  readonly workload: (template: object) => object & { apiVersion: string; kind: string };
  readonly client: 'pod-client.ts' | 'mounted-client.ts';
  readonly start?: () => Promise<void>;
  /** Whether a rollback leaves the very pods of before. */
  readonly samePods: boolean;
}

const deployment = (template: object, metadata: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', ...metadata },
  spec: {
    replicas: 2,
    progressDeadlineSeconds: 6,
    selector: { matchLabels: { app: 'web' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
    template,
  },
});

const KINDS: Readonly<Record<string, Kind>> = {
  argoRollouts: {
    spec: { rollout: 'web', secretName: 'db' },
    workload: (template) => {
      const { strategy: _, ...spec } = deployment(template).spec;
      const canary = { steps: [{ setWeight: 50 }, { pause: { duration: 1 } }] };
      return {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: { name: 'web' },
        spec: { ...spec, strategy: { canary } },
      };
    },
    client: 'pod-client.ts',
    start: async () => {
      await install(cluster, [rolloutDefinition]);
      await running(cluster, startArgoRolloutsDouble);
    },
    samePods: false,
  },
  podReload: {
    spec: {
      deployment: 'web',
      secretName: 'db',
      version: { http: { port: 'http', path: '/version', pointer: '/version' } },
      reload: { http: { port: 'http', path: '/reload' } },
      timeout: '5s',
    },
    workload: deployment,
    client: 'mounted-client.ts',
    samePods: true,
  },
  delegated: {
    spec: { to: 'reloader', deployment: 'web', secretName: 'db', timeout: '20s' },
    workload: (template) => deployment(template, { annotations: { 'reloader.stakater.com/auto': 'true' } }),
    client: 'pod-client.ts',
    start: () => running(cluster, startReloaderDouble),
    samePods: false,
  },
};

/** Kinds that another file of the matrix has. */
const ELSEWHERE = {
  reload: 'crash-matrix.test.ts',
  rolling: 'cluster.test.ts',
  blueGreen: 'cluster.test.ts',
  discovered: 'discovered.test.ts',
};

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
});
afterEach(async () => {
  await namespace.remove();
  await stage.stop();
  await rm(reports, { recursive: true, force: true, maxRetries: 20 });
});
afterAll(stopTestCluster);

test('every registered rollout is in the crash matrix, but for the one that does nothing', () => {
  const registered = rollouts({ allowedCommands: [], clusters: noClusters }).map(({ kind }) => kind);
  const known = [...Object.keys(KINDS), ...Object.keys(ELSEWHERE), 'none'];
  expect(known.sort()).toEqual(registered.sort());
});

describe.each(Object.entries(KINDS))('pods take the credential from a Secret, %s', (name, kind) => {
  test.each(['forward:deliver:performed', 'forward:rollout:performed', 'forward:revoke:performed'])(
    'a worker killed at %s: another goes on, no pod was refused, and each runs the new version',
    { timeout: 120_000 },
    async (point) => {
      await startPods(kind);
      const doomed = await stage.startWorker({ point, signal: 'SIGKILL' });
      const rotating = rotate(name, kind);
      await doomed.exited;
      await stage.startWorker();
      const rotation = await rotating;
      expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
      await expectAllOn(rotation.newVersion ?? '');
      expect(await refusals()).toEqual([]);
    },
  );

  test('pods that never move, and a worker killed on the way back: rolled back, nobody was refused', {
    timeout: 240_000,
  }, async () => {
    await startPods(kind);
    const before = await pods();
    await writeFile(join(reports, 'ill'), '');
    const doomed = await stage.startWorker({ point: 'back:rollout:announced', signal: 'SIGKILL' });
    const rotating = rotate(name, kind);
    await doomed.exited;
    // What was ill is well with the version of before.
    await rm(join(reports, 'ill'));
    await stage.startWorker();
    const rotation = await rotating;
    expect(rotation, JSON.stringify(rotation.error)).toMatchObject({
      state: 'rolled-back',
      error: { code: 'rollout.unhealthy' },
    });
    if (kind.samePods) expect(await pods()).toEqual(before);
    expect(await refusals()).toEqual([]);
  });
});

async function rotate(kind: string, { spec }: Kind): Promise<Rotation> {
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

/** Two pods on the credential that the application uses today. */
async function startPods({ workload, client, start }: Kind): Promise<void> {
  const { app } = stage;
  await start?.();
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db' },
    stringData: {
      host: '127.0.0.1',
      port: String(app.port),
      name: app.name,
      user: app.initial.username,
      password: app.initial.password,
      version: 'v0',
    },
  });
  const made = workload(template(client));
  await namespace.create({ ...made, metadata: { name: 'web', ...(made as { metadata?: object }).metadata } });
  const ref = {
    apiVersion: made.apiVersion,
    kind: made.kind,
    metadata: { name: 'web', namespace: namespace.name },
  };
  const available = async () => {
    const { status } = await cluster.api.read<V1Deployment & { status?: { phase?: string } }>(ref);
    return made.kind === 'Rollout' && status?.phase !== 'Healthy' ? 0 : status?.availableReplicas;
  };
  await expect.poll(available, { timeout: 30_000 }).toBe(2);
}

function template(client: Kind['client']): object {
  const keys = ['host', 'port', 'name', 'user', 'password', 'version'];
  const fromEnv = keys.map((key) => ({
    name: `DB_${key.toUpperCase()}`,
    valueFrom: { secretKeyRef: { name: 'db', key } },
  }));
  const mounted = client === 'mounted-client.ts';
  return {
    metadata: { labels: { app: 'web' } },
    spec: {
      terminationGracePeriodSeconds: 5,
      ...(mounted ? { volumes: [{ name: 'db', secret: { secretName: 'db' } }] } : {}),
      containers: [
        {
          name: 'web',
          image: 'sandbox/node',
          command: [fileURLToPath(new URL(client, import.meta.url)), reports],
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [
            { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ...(mounted ? [] : fromEnv),
          ],
          ...(mounted ? { volumeMounts: [{ name: 'db', mountPath: '/etc/db' }] } : {}),
          readinessProbe: {
            exec: { command: ['/bin/sh', '-c', `test -e "${reports}/$POD.ready"`] },
            periodSeconds: 1,
            failureThreshold: 1,
          },
        },
      ],
    },
  };
}

async function pods(): Promise<string[]> {
  const { items } = await cluster.api.list('v1', 'Pod', namespace.name);
  return items.flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? ''])).sort();
}

/** What the processes themselves say, once the pods of before are gone. */
async function expectAllOn(version: string): Promise<void> {
  await expect.poll(async () => (await pods()).length, { timeout: 20_000 }).toBe(2);
  const reported = async () => {
    const files = await readdir(reports);
    return Promise.all(
      (await pods()).map(async (pod) => {
        if (!files.includes(`${pod}.served`)) return 'nothing yet';
        return (await readFile(join(reports, `${pod}.served`), 'utf8')).split(' ')[0];
      }),
    );
  };
  // A pod may be writing its report in this very moment.
  await expect.poll(reported, { timeout: 10_000 }).toEqual([version, version]);
}

async function refusals(): Promise<readonly string[]> {
  const text = await readFile(join(reports, 'refusals'), 'utf8').catch(() => '');
  return [...text.split('\n').filter((line) => line !== ''), ...stage.client.refusals];
}
