import { systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { type SandboxApi, type Seed, startApiServer } from '../../sandbox/api/server.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { followConsumers } from '../../workers/kubernetes/consumers/followed-consumers.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { Rollout } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';

const NAMESPACES = 50;
const OWN = 'own';

export interface ConsumersMeasured {
  /** Milliseconds of a lookup. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds until a cluster that nobody looked at before can be asked. */
  readonly warmUp: number;
  readonly objects: number;
}

/** Finding the consumers of a Secret among so many workloads, each with two pods. */
export async function lookupAmong(workloads: number): Promise<ConsumersMeasured> {
  const api = await startApiServer();
  populate(api, workloads);
  const clusters = kubeconfigClusters((config) => config.loadFromString(api.kubeconfig()));
  const consumers = followConsumers(await clusters.open(undefined));
  const began = systemClock.monotonicMs();
  const call = () => aCall();
  const secret = { namespaces: ['default'], name: OWN };
  while (systemClock.monotonicMs() - began < 120_000) {
    const ready = await consumers.of(call(), secret, 'followed').catch(() => undefined);
    if (ready) break;
  }
  const warmUp = systemClock.monotonicMs() - began;
  const took: number[] = [];
  for (let index = 0; index < 20_000; index += 1) {
    const at = systemClock.monotonicMs();
    const { consumers: found } = await consumers.of(call(), secret, 'followed');
    took.push(systemClock.monotonicMs() - at);
    if (found.length !== 1) throw new Error(`${found.length} consumers instead of one`);
  }
  took.sort((a, b) => a - b);
  await consumers.close();
  await api.stop();
  const at = (share: number) => took[Math.floor(took.length * share)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), warmUp, objects: workloads * 3 };
}

/**
 * Requests that the parts of one rotation make which touch the cluster: its plan, delivery, rollout and last proof, with
 * one consumer of its own among so many workloads. Watches that begin anew are counted for themselves.
 */
export async function requestsAmong(
  workloads: number,
): Promise<{ readonly requests: number; readonly watches: number }> {
  const api = await startApiServer();
  populate(api, workloads);
  api.addUser('rotor', ['system:masters']);
  const clusters = kubeconfigClusters((config) => config.loadFromString(api.kubeconfig('rotor')));
  const kinds: readonly Rollout[] = rollouts({ allowedCommands: [], clusters });
  const kind = kinds.find((each) => each.kind === 'discovered');
  const secretKind = deliveries({ clusters }).find((each) => each.kind === 'secret');
  if (!kind || !secretKind) throw new Error('a kind is missing');
  const session = kind.open('all', kind.spec.parse({ namespaces: ['default'], secretName: OWN }));
  const delivery = secretKind.open(
    secretKind.spec.parse({
      name: OWN,
      namespaces: ['default'],
      data: { password: '{{password}}' },
      adopt: true,
    }),
  );
  while (!(await session.members?.(aCall(), 'followed').catch(() => undefined)));

  const counts = { requests: 0, watches: 0 };
  api.faults.before = ({ user, resource, verb }) => {
    // Discovery is asked once a process, and again and again for what a cluster lacks.
    if (user === 'rotor' && resource !== '') counts[verb === 'watch' ? 'watches' : 'requests'] += 1;
    return 'ok';
  };
  const credential: Credential = {
    versionId: 'v1',
    identity: 'app',
    fields: {},
    secrets: { password: SecretValue.of('x') },
  };
  await session.plan(aCall());
  await delivery.plan(aCall());
  await delivery.deliver(aCall(), credential);
  await delivery.holds(aCall(), credential);
  for (const freshness of ['followed', 'caught-up'] as const) {
    for (const member of (await session.members?.(aCall(), freshness)) ?? []) {
      const seen = await member.move(aCall(), credential, 'forward');
      if (!('notYet' in seen)) continue;
      play(api);
      await member.move(aCall(), credential, 'forward');
    }
  }
  const counted = { ...counts };
  for (const each of kinds) await each.close?.();
  await api.stop();
  return counted;
}

/** One Deployment reads the Secret `own`, all others read others; each has two pods. */
function populate(api: SandboxApi, workloads: number): void {
  api.seed(
    '/namespaces',
    Array.from({ length: NAMESPACES }, (_, index) => namespaceOf(index)),
  );
  api.seed('/secrets', [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: OWN, namespace: 'default' }, type: 'Opaque' },
  ]);
  const others = Array.from({ length: workloads - 1 }, (_, index) => index);
  const name = (index: number) => `w${index}`;
  const place = (index: number) => `n${index % NAMESPACES}`;
  api.seed('apps/deployments', [
    deployment(OWN, 'default', OWN),
    ...others.map((index) => deployment(name(index), place(index), name(index))),
  ]);
  api.seed('apps/replicasets', [
    replicaSet(OWN, 'default', OWN),
    ...others.map((index) => replicaSet(name(index), place(index), name(index))),
  ]);
  for (const end of ['a', 'b'])
    api.seed('/pods', [
      pod(OWN, end, 'default', OWN),
      ...others.map((index) => pod(name(index), end, place(index), name(index))),
    ]);
}

/** What the controllers would do: the workload has taken its template, and its pods are of it. */
function play(api: SandboxApi): void {
  const annotations = { [`secret.rotor.dev/${OWN}`]: 'v1' };
  api.seed('apps/deployments', [{ ...deployment(OWN, 'default', OWN, annotations), generation: 2 }]);
  api.seed(
    '/pods',
    ['a', 'b'].map((end) => pod(OWN, end, 'default', OWN, annotations)),
  );
}

function namespaceOf(index: number): Seed {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: `n${index}` },
    status: { phase: 'Active' },
  };
}

function template(secret: string, app: string, annotations: object = {}) {
  const env = [{ name: 'DB', valueFrom: { secretKeyRef: { name: secret, key: 'password' } } }];
  return {
    metadata: { labels: { app }, annotations },
    spec: { containers: [{ name: 'web', image: 'registry/web:1', env }] },
  };
}

function deployment(name: string, namespace: string, secret: string, annotations?: object): Seed {
  const replicas = 2;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: template(secret, name, annotations),
    },
    status: { observedGeneration: 9, replicas, updatedReplicas: replicas, availableReplicas: replicas },
  };
}

function replicaSet(name: string, namespace: string, secret: string): Seed {
  const metadata = { name: `${name}-1`, namespace, ownerReferences: [owner('apps/v1', 'Deployment', name)] };
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata, spec: { template: template(secret, name) } };
}

function pod(name: string, end: string, namespace: string, secret: string, annotations?: object): Seed {
  const { metadata, spec } = template(secret, name, annotations);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      name: `${name}-1-${end}`,
      namespace,
      ownerReferences: [owner('apps/v1', 'ReplicaSet', `${name}-1`)],
    } as Seed['metadata'],
    spec,
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function owner(apiVersion: string, kind: string, name: string) {
  return { apiVersion, kind, name, uid: `uid-${name}`, controller: true };
}
