import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type KubernetesObject,
  PatchStrategy,
  type V1Deployment,
  type V1Pod,
  type V1Secret,
  type V1Service,
} from '@kubernetes/client-node';
import { expect, onTestFinished } from 'vitest';
import { type Clusters, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { blueGreenRollout } from '../../workers/rollouts/blue-green/rollout.ts';
import { discoveredRollout } from '../../workers/rollouts/discovered/rollout.ts';
import type { AllowedCommands } from '../../workers/rollouts/reload/allowed-commands.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import type { ConsumerProof, Rollout, RolloutSession } from '../../workers/rollouts/rollout.ts';
import { startPrometheusDouble } from '../doubles/prometheus.ts';
import { aCall } from '../setup/call.ts';
import { type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { onceThere } from '../setup/probes.ts';
import type { DeliveryScenario } from './deliveries-scenarios.ts';
import type { RolloutScenario } from './rollouts-scenarios.ts';

/** A Secret in two namespaces of the test cluster. */
export async function intoSecrets(options: object = {}, before?: 'theirs'): Promise<DeliveryScenario> {
  const { api, clusters, namespace } = await testCluster();
  const [one, other] = [await namespace(), await namespace()];
  onTestFinished(async () => {
    await one.remove();
    await other.remove();
  });
  if (before === 'theirs')
    for (const each of [one, other])
      await each.create({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'db' },
        data: { password: Buffer.from('theirs').toString('base64') },
      });
  const delivery = secretDelivery({ clusters });
  const open = (namespaces: readonly string[]) =>
    delivery.open(delivery.spec.parse({ name: 'db', namespaces, ...options }));
  const versioned = 'style' in options && options.style === 'versioned';
  let name = 'db';
  const refOf = () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: other.name } });
  const read = async () => (await api.read<V1Secret>(refOf())).data;
  const session = open([one.name, other.name]);
  return {
    session: {
      target: session.target,
      plan: (call) => session.plan(call),
      holds: (call, credential) => session.holds(call, credential),
      deliver: async (call, credential) => {
        await session.deliver(call, credential);
        // What a consumer finds that has been moved: the name of the version.
        if (versioned) name = versionedName('db', credential.versionId);
      },
    },
    keepsVersions: versioned,
    read: async () => {
      const data = await read().catch(() => undefined);
      const texts = Object.entries(data ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${Buffer.from(value, 'base64').toString()}`);
      return data && Buffer.from(texts.join('\n'));
    },
    tamper: async () => {
      if (versioned) {
        await api.delete(refOf());
        return;
      }
      const [key] = Object.keys((await read()) ?? {});
      const edited = Buffer.from('{"edited":"by hand"}').toString('base64');
      const patch = { ...refOf(), data: { [key ?? '']: edited } };
      await api.patch(patch, undefined, undefined, 'kubectl-edit', undefined, PatchStrategy.MergePatch);
    },
    unreachable: open(['no-such-namespace']),
    refusedAs: 'cluster.not-found',
  };
}

/** What differs from shop to shop. */
export interface Shop {
  readonly open: (clusters: Clusters, namespace: string) => RolloutSession;
  /** What must be there before its workload is. */
  readonly prepare?: (cluster: TestCluster, namespace: TestNamespace) => Promise<void>;
  /** A Deployment when absent. */
  readonly workload?: (reports: string) => KubernetesObject & { readonly [field: string]: unknown };
  readonly proves?: RolloutScenario['proves'];
  /** Who refuses when it can't be moved: the pods themselves, or the API server, which can't be reached then. */
  readonly refusedAs?: 'pods';
  /** Brings a version to where its workload's side reads it; into its Secret when absent. */
  readonly deliver?: (cluster: TestCluster, namespace: string, versionId: string) => Promise<void>;
  readonly scenario?: Pick<RolloutScenario, 'byDelivery' | 'otherVersionAs'>;
}

/** Two pods that report the version they run with, behind a Service. */
export async function aShop({
  open,
  prepare,
  workload = deployment,
  proves = 'restarted',
  deliver = intoTheSecret,
  ...shop
}: Shop): Promise<RolloutScenario> {
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  const reports = await mkdtemp(join(tmpdir(), 'rotor-reports-'));
  onTestFinished(async () => {
    await namespace.remove();
    // A pod that has not ended yet may still be writing its last report.
    await rm(reports, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  const { name } = namespace;
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db', annotations: { 'rotor.dev/version': 'v0' } },
    stringData: { version: 'v0' },
  });
  await prepare?.(cluster, namespace);
  const made = workload(reports);
  await namespace.create(made);
  const itself = {
    apiVersion: made.apiVersion ?? '',
    kind: made.kind ?? '',
    metadata: { name: 'shop', namespace: name },
  };
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop' },
    spec: { selector: { app: 'shop' }, ports: [{ port: 80 }] },
  });
  await expect.poll(() => available(cluster, itself), { timeout: 30_000 }).toBe(2);
  let unreachable = false;
  const nobody = kubeconfigClusters((config) =>
    config.loadFromClusterAndUser(
      { name: 'dead', server: 'https://127.0.0.1:1', skipTLSVerify: true },
      { name: 'nobody' },
    ),
  );
  return {
    session: open({ open: (context) => (unreachable ? nobody : cluster.clusters).open(context) }, name),
    proves,
    ...(shop.refusedAs === 'pods' ? {} : { refusedAs: 'cluster.unavailable' as const }),
    otherVersionAs: { code: 'delivery.drifted', kind: 'retryable' },
    deliver: async (versionId) => {
      // Whom others restart is judged by when its pods were made.
      if (shop.scenario?.byDelivery) await laterSecond();
      await deliver(cluster, name, versionId);
    },
    ...shop.scenario,
    running: () => runningBehindTheService(cluster, name, reports),
    breakDown: async (how) => {
      if (how === 'refuses') {
        if (shop.refusedAs === 'pods') await writeFile(join(reports, 'refuses'), '');
        else unreachable = true;
        return;
      }
      await writeFile(join(reports, 'ill'), '');
      await giveUpSoon(cluster, itself);
      await expect.poll(() => available(cluster, itself), { timeout: 30_000 }).toBe(0);
    },
  };
}

/** Into a Secret of the version's own. */
export async function deliverVersion(
  { clusters }: TestCluster,
  namespace: string,
  versionId: string,
): Promise<void> {
  const delivery = secretDelivery({ clusters });
  const data = { version: '{{versionId}}' };
  const spec = delivery.spec.parse({ name: 'db', namespaces: [namespace], style: 'versioned', data });
  await delivery.open(spec).deliver(aCall(), { versionId, identity: '', fields: {}, secrets: {} });
}

async function intoTheSecret({ api }: TestCluster, namespace: string, versionId: string): Promise<void> {
  await api.patch<V1Secret>(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'db', namespace, annotations: { 'rotor.dev/version': versionId } },
      data: { version: Buffer.from(versionId).toString('base64') },
    },
    undefined,
    undefined,
    'test',
    undefined,
    PatchStrategy.MergePatch,
  );
}

/** Two pods that take the version from their environment. */
export function deployment(reports: string) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop' },
    spec: {
      replicas: 2,
      progressDeadlineSeconds: 8,
      selector: { matchLabels: { app: 'shop' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
      template: template(reports, {
        env: [{ name: 'VERSION', valueFrom: { secretKeyRef: { name: 'db', key: 'version' } } }],
      }),
    },
  };
}

/** The template of the shop's pods. @param reading how they get at the Secret */
export function template(
  reports: string,
  {
    env = [],
    volumeMounts = [],
    volumes = [],
  }: { env?: object[]; volumeMounts?: object[]; volumes?: object[] },
) {
  return {
    metadata: { labels: { app: 'shop' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      volumes,
      containers: [
        {
          name: 'web',
          image: 'sandbox/node',
          command: [fileURLToPath(new URL('shop-program.ts', import.meta.url))],
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [
            { name: 'REPORTS', value: reports },
            // Pods of a StatefulSet follow one another under one name.
            { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
            ...env,
          ],
          volumeMounts,
          readinessProbe: onceThere(
            `${reports}/$POD`,
            `test ! -e "${reports}/ill" && test ! -e "${reports}/ill-$(cat "${reports}/$POD")"`,
          ),
        },
      ],
    },
  };
}

/** An ill workload that has a deadline for progress gives up at once; healthy ones have time on a busy machine. */
async function giveUpSoon({ api }: TestCluster, itself: KubernetesObject): Promise<void> {
  if (itself.kind !== 'Deployment' && itself.kind !== 'Rollout') return;
  const patch = { ...itself, spec: { progressDeadlineSeconds: 1 } };
  await api.patch(patch, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch);
}

async function available(
  { api }: TestCluster,
  itself: Parameters<TestCluster['api']['read']>[0],
): Promise<number> {
  return (await api.read<V1Deployment>(itself)).status?.availableReplicas ?? 0;
}

/** What a client of the Service meets: every ready pod that its selector finds, by what the process itself reported. */
async function runningBehindTheService(
  { api }: TestCluster,
  namespace: string,
  reports: string,
): Promise<string> {
  const service = await api.read<V1Service>({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop', namespace },
  });
  const selector = Object.entries(service.spec?.selector ?? {}).map(([key, value]) => `${key}=${value}`);
  const { items } = await api.list<V1Pod>(
    'v1',
    'Pod',
    namespace,
    undefined,
    undefined,
    undefined,
    undefined,
    selector.join(','),
  );
  const ready = items.filter(
    ({ metadata, status }) =>
      metadata?.deletionTimestamp === undefined &&
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );
  const versions = await Promise.all(
    ready.map(({ metadata }) => readFile(join(reports, metadata?.uid ?? ''), 'utf8')),
  );
  return [...new Set(versions)].sort().join('+');
}

type Style = 'stable' | 'versioned';

const inStyle = (style: Style): Pick<Shop, 'deliver'> =>
  style === 'versioned' ? { deliver: deliverVersion } : {};

export const byRollingUpdate = (style: Style = 'stable') =>
  aShop({
    open: (clusters, namespace) => {
      const rollout = rollingRollout({ clusters });
      return rollout.open('shop', rollout.spec.parse({ deployment: 'shop', namespace, secretName: 'db' }));
    },
    ...inStyle(style),
  });

/** The Deployment is found by itself; the kit moves those that the session stands for as the step does. */
export const byDiscovery = (style: Style = 'stable') =>
  aShop({
    open: (clusters, namespace) => {
      const rollout = discoveredRollout({ clusters, rollout: () => rollingRollout({ clusters }) as Rollout });
      onTestFinished(() => rollout.close?.());
      const session = rollout.open('shop', rollout.spec.parse({ namespaces: [namespace], secretName: 'db' }));
      return {
        consumer: 'shop',
        plan: (call) => session.plan(call),
        move: async (call, credential, going) => {
          let proof: ConsumerProof | undefined;
          for (const member of (await session.members?.(call, 'followed')) ?? []) {
            const seen = await member.move(call, credential, going);
            if ('notYet' in seen) return seen;
            proof = { ...seen, consumer: 'shop' };
          }
          return proof ?? { notYet: 'nobody was found yet' };
        },
      };
    },
    ...inStyle(style),
  });

/** Its controller knows no deadline: Rotor's own ends it. */
export const byRollingASet = () =>
  aShop({
    open: (clusters, namespace) => {
      const rollout = rollingRollout({ clusters });
      const spec = { statefulSet: 'shop', namespace, secretName: 'db', timeout: '8s' };
      return rollout.open('shop', rollout.spec.parse(spec));
    },
    workload: aSet,
  });

/** The same two pods, one after the other. */
export function aSet(reports: string) {
  const { spec, metadata, apiVersion } = deployment(reports);
  const { replicas, selector, template: pods } = spec;
  return { apiVersion, kind: 'StatefulSet', metadata, spec: { replicas, selector, template: pods } };
}

export const byTwin = (style: Style = 'stable') => aShop({ open: openTwin([], []), ...inStyle(style) });

/** Three gates that are open to every healthy twin. */
export async function byTwinBehindGates(): Promise<RolloutScenario> {
  const prometheus = await startPrometheusDouble();
  onTestFinished(() => prometheus.stop());
  prometheus.gives(0.001, 0.002);
  const quick = { interval: '10ms' };
  const gates = [
    { http: { port: 'http', path: '/', versionPointer: '/db/running' }, ...quick },
    { prometheus: { url: prometheus.url, query: 'error_rate', expect: '< 0.01', for: '50ms' }, ...quick },
    { command: { run: ['/bin/sh', '-c', 'test "$ROTOR_CONSUMER" = shop'] }, ...quick },
  ];
  return aShop({ open: openTwin(gates, [['/bin/sh', '-c']]) });
}

export function openTwin(gates: readonly object[], allowedCommands: AllowedCommands): Shop['open'] {
  return (clusters, namespace) => {
    const rollout = blueGreenRollout({ clusters, allowedCommands });
    const spec = { deployment: 'shop', service: 'shop', namespace, secretName: 'db', gates };
    return rollout.open('shop', rollout.spec.parse(spec));
  };
}
