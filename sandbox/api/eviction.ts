import { type JsonObject, objectAt, objectsAt, textAt, valueAt } from './json.ts';
import { readDeleteOptions, removeObject } from './remove.ts';
import type { Target } from './request.ts';
import { objectSelector } from './selectors.ts';
import { ApiError, notFound } from './status.ts';
import { timestamp, type World } from './world.ts';

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
    const status = objectAt(budget, 'status');
    const observed = Number(status.observedGeneration ?? 0);
    if (observed < Number(budget.metadata.generation ?? 0)) {
      throw refused(
        `The disruption budget ${budget.metadata.name} is still being processed by the server.`,
        10,
      );
    }
    // A pod that isn't ready costs nothing as long as enough others are.
    const [healthy, needed] = [Number(status.currentHealthy ?? 0), Number(status.desiredHealthy ?? 0)];
    const free = !isReady(pod) && healthy >= needed && needed > 0;
    const allowed = Number(status.disruptionsAllowed ?? 0);
    if (!free && allowed <= 0) {
      const budgetName = budget.metadata.name;
      throw refused(
        `The disruption budget ${budgetName} needs ${needed} healthy pods and has ${healthy} currently`,
      );
    }
    if (!free && !options.dryRun) {
      const disruptedPods = { ...objectAt(status, 'disruptedPods'), [name]: timestamp(world) };
      const next = { ...status, disruptionsAllowed: allowed - 1, disruptedPods };
      world.store.put('policy/poddisruptionbudgets', { ...budget, status: next });
    }
  }
  removeObject(world, type, namespace, name, options);
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}

function isReady(pod: JsonObject): boolean {
  return objectsAt(pod, 'status', 'conditions').some(
    (item) => item.type === 'Ready' && item.status === 'True',
  );
}

function refused(message: string, retryAfterSeconds?: number): ApiError {
  return new ApiError(
    429,
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    {
      causes: [{ reason: 'DisruptionBudget', message }],
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  );
}
