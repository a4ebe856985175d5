import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PatchStrategy, type V1Deployment, type V1Service } from '@kubernetes/client-node';
import { expect } from 'vitest';
import type { Rotation } from '../../ledger/rotations.ts';
import { type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { onceThere } from '../setup/probes.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';

/** Pods behind a Service that live on what the Secret `db` says, with a worker to rotate it. */
export interface Pods {
  readonly stage: Stage;
  readonly cluster: TestCluster;
  readonly namespace: TestNamespace;
  /** Rotates, with this consumer beside the others and these options of the Secret, to the end. */
  rotate(kind: string, spec: object, secret?: object): Promise<Rotation>;
  /** Kills a worker at each of these points, one after the other, and starts one that is left alone. */
  killWorkersAt(points: readonly string[]): Promise<StartedWorker>;
  /** From now on no pod that starts becomes ready, and a Deployment gives up soon. */
  sicken(): Promise<void>;
  /** Pods that start from now on become ready again. */
  heal(): Promise<void>;
  /** Names of the pods that run, in order. */
  running(): Promise<string[]>;
  /** Waits until two pods run, and both report that version. */
  expectAllOn(version: string): Promise<void>;
  /** Every login that the provider refused. */
  refusals(): Promise<readonly string[]>;
  selector(): Promise<object | undefined>;
  deployment(): Promise<V1Deployment>;
  stop(): Promise<void>;
}

type Workload = object & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
};

/** How the pods are made; two of a Deployment that have it in their environment when absent. */
export interface PodsOptions {
  readonly workload?: (template: object) => Workload;
  readonly client?: Client;
  /** What has to be in the cluster before them. */
  readonly prepare?: (cluster: TestCluster, where: Pick<Pods, 'namespace' | 'stage'>) => Promise<void>;
}

type Client = 'pod-client.ts' | 'mounted-client.ts';

/** Starts them, on the credential that the application uses today. */
export async function startPods(options: PodsOptions = {}): Promise<Pods> {
  const { workload = twoPods, client = 'pod-client.ts', prepare } = options;
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  const reports = await mkdtemp(join(tmpdir(), 'rotor-pods-'));
  const kubeconfig = join(reports, 'kubeconfig');
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  process.env.KUBECONFIG = kubeconfig;
  const stage = await setStage((ledgerUrl) => ledgerUrl);
  await prepare?.(cluster, { namespace, stage });
  const made = workload(podTemplate(client, reports));
  const { apiVersion, kind: madeKind } = made;
  for (const object of [secretOf(stage.app), SERVICE, made]) await namespace.create(object);
  const named = (apiVersion: string, kind: string) => ({
    apiVersion,
    kind,
    metadata: { name: 'web', namespace: namespace.name },
  });
  const deployment = () => cluster.api.read<V1Deployment>(named('apps/v1', 'Deployment'));
  const available = async () => {
    const ref = named(apiVersion, madeKind);
    const { status } = await cluster.api.read<V1Deployment & { status?: { phase?: string } }>(ref);
    return madeKind === 'Rollout' && status?.phase !== 'Healthy' ? 0 : status?.availableReplicas;
  };
  await expect.poll(available, { timeout: 30_000 }).toBe(2);
  // Pods that start in the very second in which a delivery is announced are made anew on a way back.
  await laterSecond();

  const running = async (): Promise<string[]> => {
    const { items } = await cluster.api.list('v1', 'Pod', namespace.name);
    return items
      .flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']))
      .sort();
  };
  const served = async (): Promise<ReadonlyMap<string, string>> => {
    const files = (await readdir(reports)).filter((name) => name.endsWith('.served'));
    const entries = files.map(async (file) => {
      const [version = ''] = (await readFile(join(reports, file), 'utf8')).split(' ');
      return [file.replace('.served', ''), version] as const;
    });
    return new Map(await Promise.all(entries));
  };
  return {
    stage,
    cluster,
    namespace,
    rotate: async (kind, spec, secret = { adopt: true }) => {
      const delivered = { name: 'db', namespaces: [namespace.name], data: DELIVERED, ...secret };
      const consumer = { name: 'web', kind, spec: { ...spec, namespace: namespace.name } };
      const id = await stage.startRotation({
        deliver: [...stage.spec.deliver, { kind: 'secret', spec: delivered }],
        consumers: [...stage.spec.consumers, consumer],
      });
      return stage.ended(id);
    },
    killWorkersAt: async (points) => {
      for (const point of points) {
        const doomed = await stage.startWorker({ point, signal: 'SIGKILL' });
        expect(await doomed.exited, `${point}\n${doomed.output()}`).toBe('SIGKILL');
      }
      return stage.startWorker();
    },
    sicken: async () => {
      await writeFile(join(reports, 'ill'), '');
      if (made.kind !== 'Deployment') return;
      // Soon, for pods that are ill from their start; those that start well have more time on a busy machine.
      const ill = { ...named(apiVersion, madeKind), spec: { progressDeadlineSeconds: ILL_SECONDS } };
      await cluster.api.patch(ill, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch);
    },
    heal: async () => {
      await rm(join(reports, 'ill'));
      if (made.kind !== 'Deployment') return;
      const well = { ...named(apiVersion, madeKind), spec: { progressDeadlineSeconds: 60 } };
      await cluster.api.patch(well, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch);
    },
    running,
    expectAllOn: async (version) => {
      await expect.poll(async () => (await running()).length, { timeout: 60_000 }).toBe(2);
      const reported = async () => {
        const all = await served();
        return (await running()).map((pod) => all.get(pod));
      };
      // A pod may be writing its report in this very moment.
      await expect.poll(reported, { timeout: 10_000 }).toEqual([version, version]);
    },
    refusals: async () => {
      const text = await readFile(join(reports, 'refusals'), 'utf8').catch(() => '');
      return [...text.split('\n').filter((line) => line !== ''), ...stage.client.refusals];
    },
    selector: async () => (await cluster.api.read<V1Service>(named('v1', 'Service'))).spec?.selector,
    deployment,
    stop: async () => {
      await namespace.remove();
      await stage.stop();
      // The last pods may write a report while they end.
      await rm(reports, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

const ILL_SECONDS = 2;
const KEYS = ['host', 'port', 'name', 'user', 'password', 'version'];

/** The keys of the Secret as a policy delivers them. */
export const DELIVERED = {
  host: '{{host}}',
  port: '{{port}}',
  name: '{{dbname}}',
  user: '{{username}}',
  password: '{{password}}',
  version: '{{versionId}}',
};

/** The same with the credential that the application uses today. */
export function secretOf({ port, name, initial }: Stage['app']) {
  const stringData = {
    host: '127.0.0.1',
    port: String(port),
    name,
    user: initial.username,
    password: initial.password,
    version: 'v0',
  };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db' }, stringData };
}

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
};

/** Two pods, of which both may be replaced at once. */
export function twoPods(template: object, metadata: object = {}) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', ...metadata },
    spec: {
      replicas: 2,
      progressDeadlineSeconds: 60,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
      template,
    },
  };
}

/** Pods that use the credential all the time. @param reports folder in which they say what they see */
export function podTemplate(client: Client, reports: string, app = 'web'): object {
  const mounted = client === 'mounted-client.ts';
  const fromEnv = KEYS.map((key) => ({
    name: `DB_${key.toUpperCase()}`,
    valueFrom: { secretKeyRef: { name: 'db', key } },
  }));
  return {
    metadata: { labels: { app } },
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
          readinessProbe: onceThere(`${reports}/$POD.ready`),
        },
      ],
    },
  };
}
