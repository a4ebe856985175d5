import type { Pod, PodTemplate } from './client/wire.ts';

/** Neither finished nor going away. */
export function isActive(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== 'Succeeded' && phase !== 'Failed' && pod.metadata.deletionTimestamp === undefined;
}

/** Whether the pod's Ready condition is true. */
export function isReady(pod: Pod): boolean {
  return readySince(pod) !== undefined;
}

/** When the pod became ready, in milliseconds; undefined when it isn't. */
export function readySince(pod: Pod): number | undefined {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : 0;
}

/** Milliseconds until a ready pod counts as available: 0 when it does, undefined when it isn't ready. */
export function untilAvailable(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const since = readySince(pod);
  if (since === undefined) return undefined;
  return Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

export interface PodCounts {
  readonly ready: number;
  readonly available: number;
  /** Milliseconds until the next ready pod becomes available. */
  readonly nextMs: number | undefined;
}

/** Counts pods as workloads' status fields do. */
export function countPods(pods: readonly Pod[], minReadySeconds: number, nowMs: number): PodCounts {
  const waits = pods.flatMap((pod) => untilAvailable(pod, minReadySeconds, nowMs) ?? []);
  const open = waits.filter((wait) => wait > 0);
  return {
    ready: waits.length,
    available: waits.length - open.length,
    nextMs: open.length > 0 ? Math.min(...open) : undefined,
  };
}

export interface OwnerFacts {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string };
}

/** The reference that makes its target the managing owner. */
export function controllerReference({ apiVersion, kind, metadata }: OwnerFacts) {
  return {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** A pod to create from a template. */
export function podFrom(template: PodTemplate, name: string, namespace: string, owner: OwnerFacts) {
  return {
    metadata: {
      name,
      namespace,
      labels: { ...template.metadata?.labels },
      annotations: { ...template.metadata?.annotations },
      ownerReferences: [controllerReference(owner)],
    },
    spec: structuredClone(template.spec) as Pod['spec'],
  };
}
