import { type JsonObject, objectAt, textAt, valueAt } from './json.ts';
import { readDeleteOptions, removeObject } from './remove.ts';
import type { Target } from './request.ts';
import { objectSelector } from './selectors.ts';
import { ApiError, notFound } from './status.ts';
import type { World } from './world.ts';

/** Deletes a pod unless its disruption budget forbids it now. @throws ApiError 404, 429 */
export function evict(world: World, target: Target, eviction: JsonObject): JsonObject {
  const { type, namespace, name } = target;
  const pod = world.store.get(type.storage, namespace, name);
  if (!pod) throw notFound(type, name);
  const labels = objectAt(pod, 'metadata', 'labels');
  const budgets = world.store
    .list('policy/poddisruptionbudgets', namespace)
    .filter((budget) => objectSelector(valueAt(budget, 'spec', 'selector'))(labels));
  const ended = ['Succeeded', 'Failed', 'Pending'].includes(textAt(pod, 'status', 'phase') ?? '');
  const options = readDeleteOptions(objectAt(eviction, 'deleteOptions'), new URLSearchParams());
  const [budget] = budgets;
  if (budget && !ended && pod.metadata.deletionTimestamp === undefined) {
    const allowed = Number(valueAt(budget, 'status', 'disruptionsAllowed') ?? 0);
    if (allowed <= 0) throw refused(budget.metadata.name, budget);
    if (!options.dryRun) {
      const status = { ...objectAt(budget, 'status'), disruptionsAllowed: allowed - 1 };
      world.store.put('policy/poddisruptionbudgets', { ...budget, status });
    }
  }
  removeObject(world, type, namespace, name, options);
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}

function refused(name: string, budget: JsonObject): ApiError {
  const needed = valueAt(budget, 'status', 'desiredHealthy') ?? 0;
  const healthy = valueAt(budget, 'status', 'currentHealthy') ?? 0;
  const message = `The disruption budget ${name} needs ${needed} healthy pods and has ${healthy} currently`;
  return new ApiError(
    429,
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    {
      causes: [{ reason: 'DisruptionBudget', message }],
    },
  );
}
