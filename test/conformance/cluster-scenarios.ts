import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  PatchStrategy,
  type V1Deployment,
  type V1Pod,
  type V1Secret,
  type V1Service,
} from '@kubernetes/client-node';
import { expect, onTestFinished } from 'vitest';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { type Clusters, kubeconfigClusters } from '../../workers/kubernetes/cluster.ts';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { blueGreenRollout } from '../../workers/rollouts/blue-green/rollout.ts';
import { discoveredRollout } from '../../workers/rollouts/discovered/rollout.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import type { ConsumerProof, Rollout, RolloutSession } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { type TestCluster, testCluster } from '../setup/cluster.ts';
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

/** A Deployment of two pods that report the version they started with, behind a Service. */
async function aShop(
  open: (clusters: Clusters, namespace: string) => RolloutSession,
  style: 'stable' | 'versioned',
): Promise<RolloutScenario> {
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  const reports = await mkdtemp(join(tmpdir(), 'rotor-reports-'));
  onTestFinished(async () => {
    await namespace.remove();
    await rm(reports, { recursive: true, force: true });
  });
  const { name } = namespace;
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db', annotations: { 'rotor.dev/version': 'v0' } },
    stringData: { version: 'v0' },
  });
  await namespace.create(deployment(reports));
  await namespace.create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop' },
    spec: { selector: { app: 'shop' }, ports: [{ port: 80 }] },
  });
  await expect.poll(() => available(cluster, name), { timeout: 30_000 }).toBe(2);
  let unreachable = false;
  const nobody = kubeconfigClusters((config) =>
    config.loadFromClusterAndUser(
      { name: 'dead', server: 'https://127.0.0.1:1', skipTLSVerify: true },
      { name: 'nobody' },
    ),
  );
  return {
    session: open({ open: (context) => (unreachable ? nobody : cluster.clusters).open(context) }, name),
    proves: 'restarted',
    refusedAs: 'cluster.unavailable',
    otherVersionAs: { code: 'delivery.drifted', kind: 'retryable' },
    deliver: async (versionId) => {
      if (style === 'versioned') {
        await deliverVersion(cluster, name, versionId);
        return;
      }
      await cluster.api.patch<V1Secret>(
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'db', namespace: name, annotations: { 'rotor.dev/version': versionId } },
          data: { version: Buffer.from(versionId).toString('base64') },
        },
        undefined,
        undefined,
        'test',
        undefined,
        PatchStrategy.MergePatch,
      );
    },
    running: () => runningBehindTheService(cluster, name, reports),
    breakDown: async (how) => {
      if (how === 'refuses') {
        unreachable = true;
        return;
      }
      await writeFile(join(reports, 'ill'), '');
      await expect.poll(() => available(cluster, name), { timeout: 30_000 }).toBe(0);
    },
  };
}

async function deliverVersion(
  { clusters }: TestCluster,
  namespace: string,
  versionId: string,
): Promise<void> {
  const delivery = secretDelivery({ clusters });
  const data = { version: '{{versionId}}' };
  const spec = delivery.spec.parse({ name: 'db', namespaces: [namespace], style: 'versioned', data });
  await delivery.open(spec).deliver(aCall(), { versionId, identity: '', fields: {}, secrets: {} });
}

function deployment(reports: string) {
  const program = `require('fs').writeFileSync(process.env.REPORTS + '/' + process.env.POD, process.env.VERSION); setInterval(() => {}, 1000)`;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop' },
    spec: {
      replicas: 2,
      progressDeadlineSeconds: 4,
      selector: { matchLabels: { app: 'shop' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: 'shop' } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'web',
              image: 'sandbox/node',
              command: ['-e', program],
              env: [
                { name: 'REPORTS', value: reports },
                { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                { name: 'VERSION', valueFrom: { secretKeyRef: { name: 'db', key: 'version' } } },
              ],
              readinessProbe: {
                exec: {
                  command: ['/bin/sh', '-c', `test -e "${reports}/$POD" && test ! -e "${reports}/ill"`],
                },
                periodSeconds: 1,
                failureThreshold: 1,
              },
            },
          ],
        },
      },
    },
  };
}

async function available({ api }: TestCluster, namespace: string): Promise<number> {
  const ref = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop', namespace } };
  return (await api.read<V1Deployment>(ref)).status?.availableReplicas ?? 0;
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
    ready.map(({ metadata }) => readFile(join(reports, metadata?.name ?? ''), 'utf8')),
  );
  return [...new Set(versions)].sort().join('+');
}

export const byRollingUpdate = (style: 'stable' | 'versioned' = 'stable') =>
  aShop((clusters, namespace) => {
    const rollout = rollingRollout({ clusters });
    return rollout.open('shop', rollout.spec.parse({ deployment: 'shop', namespace, secretName: 'db' }));
  }, style);

/** The Deployment is found by itself; the kit moves those that the session stands for as the step does. */
export const byDiscovery = (style: 'stable' | 'versioned' = 'stable') =>
  aShop((clusters, namespace) => {
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
  }, style);

export const byTwin = (style: 'stable' | 'versioned' = 'stable') =>
  aShop((clusters, namespace) => {
    const rollout = blueGreenRollout({ clusters });
    return rollout.open(
      'shop',
      rollout.spec.parse({ deployment: 'shop', service: 'shop', namespace, secretName: 'db' }),
    );
  }, style);
