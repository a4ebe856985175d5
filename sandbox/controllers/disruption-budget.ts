import { isDeepStrictEqual } from 'node:util';
import { controllerOf, keyOf } from './client/object-store.ts';
import { matches } from './client/selector.ts';
import type { DisruptionBudget, Pod } from './client/wire.ts';
import { type Cluster, type Controller, onObjects } from './controller.ts';
import { decideBudget } from './disruption-budget-decision.ts';
import { isActive, isReady } from './pod-facts.ts';

/** Says, for every PodDisruptionBudget, how many of its pods may be evicted now. */
export function disruptionBudgetController(cluster: Cluster): Controller {
  const { pods, disruptionBudgets, clock } = cluster;
  return {
    name: 'poddisruptionbudget',
    listen: (enqueue) => {
      onObjects(disruptionBudgets.cache, enqueue);
      pods.cache.onChange(({ before, after }) => {
        const pod = after ?? before;
        for (const budget of disruptionBudgets.cache.list(pod?.metadata.namespace))
          if (pod && matches(budget.spec.selector, pod.metadata.labels)) enqueue(keyOf(budget));
      });
    },
    reconcile: async (key) => {
      const budget = disruptionBudgets.cache.byKey(key);
      if (!budget) return undefined;
      const chosen = pods.cache
        .list(budget.metadata.namespace)
        .filter((pod) => isActive(pod) && matches(budget.spec.selector, pod.metadata.labels));
      await report(cluster, budget, chosen, clock.now());
      return undefined;
    },
  };
}

async function report(
  cluster: Cluster,
  budget: DisruptionBudget,
  pods: readonly Pod[],
  now: Date,
): Promise<void> {
  const { minAvailable, maxUnavailable } = budget.spec;
  const counts = decideBudget({
    healthy: pods.filter(isReady).length,
    expected:
      maxUnavailable !== undefined || typeof minAvailable === 'string'
        ? expected(cluster, pods)
        : pods.length,
    minAvailable,
    maxUnavailable,
  });
  const allowed = counts.disruptionsAllowed > 0;
  const old = budget.status?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const state = allowed ? 'True' : 'False';
  const condition = {
    type: 'DisruptionAllowed',
    status: state,
    reason: allowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime:
      old?.status === state ? old.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  const status = {
    ...counts,
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: [condition],
  };
  const { disruptedPods, ...known } = budget.status ?? {};
  const zeros = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  if (!isDeepStrictEqual({ ...zeros, ...known }, status))
    await cluster.disruptionBudgets.updateStatus({
      ...budget,
      status: { ...status, ...(disruptedPods ? { disruptedPods } : {}) },
    });
}

/** How many pods the owners of these pods want in all. */
function expected({ replicaSets, statefulSets, deployments }: Cluster, pods: readonly Pod[]): number {
  const wanted = new Map<string, number>();
  for (const pod of pods) {
    const owner = controllerOf(pod);
    const set = replicaSets.cache.get(pod.metadata.namespace, owner?.name ?? '');
    const above = controllerOf(set);
    const deployment = above && deployments.cache.get(pod.metadata.namespace, above.name);
    const stateful = statefulSets.cache.get(pod.metadata.namespace, owner?.name ?? '');
    const top = deployment ?? (owner?.kind === 'StatefulSet' ? stateful : set);
    wanted.set(top?.metadata.uid ?? pod.metadata.uid, top?.spec.replicas ?? 1);
  }
  return [...wanted.values()].reduce((sum, replicas) => sum + replicas, 0);
}
