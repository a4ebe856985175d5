import { isDeepStrictEqual } from 'node:util';
import { adopters, claim } from './adoption.ts';
import { matchesAll } from './client/selector.ts';
import type { Pod, ReplicaSet } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import { generatedName } from './names.ts';
import { countPods, isActive, podFrom } from './pod-facts.ts';
import { planPods } from './replica-set-decision.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet' };

/** Keeps as many pods of one template as are asked for. */
export function replicaSetController(cluster: Cluster): Controller {
  const { pods, replicaSets } = cluster;
  return {
    name: 'replicaset',
    listen: (enqueue) => {
      onObjects(replicaSets.cache, enqueue);
      onOwned(pods.cache, 'ReplicaSet', enqueue, (pod) => adopters(replicaSets.cache, pod));
    },
    reconcile: async (key) => {
      const set = replicaSets.cache.byKey(key);
      return set ? reconcile(cluster, set) : undefined;
    },
  };
}

async function reconcile(cluster: Cluster, set: ReplicaSet): Promise<Again> {
  const { pods } = cluster;
  const owner = { ...OWNER, metadata: set.metadata };
  const before = (await claim(pods, owner, set.spec.selector)).filter(isActive);
  let failure: unknown;
  if (!set.metadata.deletionTimestamp) {
    const plan = planPods(before, set.spec.replicas ?? 1);
    const made = await Promise.allSettled([
      ...Array.from({ length: plan.create }, () => createPod(cluster, set)),
      ...plan.remove.map((pod) => pods.remove(pod)),
    ]);
    failure = made.find((result) => result.status === 'rejected')?.reason;
  }
  const left = pods.cache.ownedBy(set.metadata.uid).filter(isActive);
  const again = await reportStatus(cluster, set, left);
  if (failure) throw failure;
  return again;
}

async function createPod({ pods }: Cluster, set: ReplicaSet): Promise<void> {
  const { name, namespace } = set.metadata;
  const template = set.spec.template ?? {};
  await pods.create(
    podFrom(template, generatedName(`${name}-`), namespace, { ...OWNER, metadata: set.metadata }),
  );
}

async function reportStatus(
  { clock, replicaSets }: Cluster,
  set: ReplicaSet,
  pods: readonly Pod[],
): Promise<Again> {
  const counts = countPods(pods, set.spec.minReadySeconds ?? 0, clock.now().getTime());
  const labels = set.spec.template?.metadata?.labels ?? {};
  const status = {
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter(({ metadata }) => matchesAll(labels, metadata.labels)).length,
    readyReplicas: counts.ready,
    availableReplicas: counts.available,
    observedGeneration: set.metadata.generation ?? 0,
  };
  const { conditions, terminatingReplicas, ...shown } = set.status ?? { replicas: -1 };
  const known = { fullyLabeledReplicas: 0, readyReplicas: 0, availableReplicas: 0, ...shown };
  if (!isDeepStrictEqual(known, status)) {
    const kept = conditions ? { conditions } : {};
    await replicaSets.updateStatus({ ...set, status: { ...status, ...kept } });
  }
  return counts.nextMs;
}
