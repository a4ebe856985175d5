import type { Pod } from './client/wire.ts';
import { isReady, readySince } from './pod-facts.ts';

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/** How many pods to make, or which to remove. */
export type PodPlan = { readonly create: number; readonly remove: readonly Pod[] };

/** Compares the pods that live with the wanted number. The least useful go first. */
export function planPods(active: readonly Pod[], wanted: number): PodPlan {
  if (active.length <= wanted) return { create: wanted - active.length, remove: [] };
  const ranked = [...active].sort(byUse);
  return { create: 0, remove: ranked.slice(0, active.length - wanted) };
}

/** Orders pods so that those whose end hurts least come first. */
export function byUse(a: Pod, b: Pod): number {
  const orders = [
    rank(a, ({ spec }) => spec.nodeName !== undefined) - rank(b, ({ spec }) => spec.nodeName !== undefined),
    phaseRank(a) - phaseRank(b),
    rank(a, isReady) - rank(b, isReady),
    cost(a) - cost(b),
    // Of two ready pods, the one that has been ready for longer stays.
    (readySince(b) ?? 0) - (readySince(a) ?? 0),
    restarts(b) - restarts(a),
    Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp),
  ];
  return orders.find((order) => order !== 0) ?? 0;
}

function rank(pod: Pod, good: (pod: Pod) => boolean): number {
  return good(pod) ? 1 : 0;
}

function phaseRank({ status }: Pod): number {
  return { Pending: 0, Unknown: 1, Running: 2 }[status?.phase ?? 'Pending'] ?? 0;
}

function cost({ metadata }: Pod): number {
  return Number(metadata.annotations?.[DELETION_COST] ?? 0) || 0;
}

function restarts({ status }: Pod): number {
  return Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount));
}
