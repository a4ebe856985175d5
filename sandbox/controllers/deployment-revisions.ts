import { isDeepStrictEqual } from 'node:util';
import type { Deployment, PodTemplate, ReplicaSet } from './client/wire.ts';
import { canonical } from './names.ts';

export const HASH_LABEL = 'pod-template-hash';
export const REVISION = 'deployment.kubernetes.io/revision';
const HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED = 'deployment.kubernetes.io/desired-replicas';
const MAX = 'deployment.kubernetes.io/max-replicas';
/** Annotations of the Deployment that its sets don't take over. */
const OWN = [
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  HISTORY,
  DESIRED,
  MAX,
  'deprecated.deployment.rollback.to',
];

/** The set made from the current template; the oldest when there are several. */
export function findFresh(template: PodTemplate, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = canonical(template);
  return byCreation(sets).find(({ spec }) => canonical(withoutHash(spec.template ?? {})) === wanted);
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [HASH_LABEL]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Oldest first; names settle ties, since creation times are whole seconds. */
export function byCreation(sets: readonly ReplicaSet[]): ReplicaSet[] {
  return [...sets].sort((a, b) => created(a) - created(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

export function created({ metadata }: ReplicaSet): number {
  return Date.parse(metadata.creationTimestamp);
}

export function revisionOf({ metadata }: { metadata: { annotations?: Record<string, string> } }): number {
  return Number(metadata.annotations?.[REVISION] ?? 0) || 0;
}

export interface SetAnnotationFacts {
  readonly deployment: Deployment;
  readonly old: readonly ReplicaSet[];
  readonly maxSurge: number;
  /** The set's own annotations, when it exists. */
  readonly current: Record<string, string> | undefined;
}

/** Annotations of the current set: those of the Deployment, its place in the history, and what it was scaled for. */
export function annotationsOf({ deployment, old, maxSurge, current = {} }: SetAnnotationFacts) {
  const inherited = Object.entries(deployment.metadata.annotations ?? {}).filter(
    ([name]) => !OWN.includes(name),
  );
  const next = Math.max(0, ...old.map(revisionOf)) + 1;
  const mine = Number(current[REVISION] ?? 0) || 0;
  const history =
    mine > 0 && mine < next ? { [HISTORY]: [current[HISTORY], mine].filter(Boolean).join(',') } : {};
  return {
    ...current,
    ...Object.fromEntries(inherited),
    ...history,
    [REVISION]: String(Math.max(mine, next)),
    ...scaleAnnotations(deployment.spec.replicas ?? 1, maxSurge),
  };
}

/** What a set remembers of the size it was scaled for, so that a change of that size is noticed. */
export function scaleAnnotations(replicas: number, maxSurge: number): Record<string, string> {
  return { [DESIRED]: String(replicas), [MAX]: String(replicas + maxSurge) };
}

/** Whether the Deployment's replicas changed since its sets were last scaled. */
export function isScaling(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some(({ metadata, spec }) => {
    const desired = metadata.annotations?.[DESIRED];
    return (spec.replicas ?? 0) > 0 && desired !== undefined && Number(desired) !== deployment.spec.replicas;
  });
}

/** Old sets that the history limit no longer keeps: empty ones, lowest revision first. */
export function expired(deployment: Deployment, old: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  const surplus = old.length - limit;
  if (surplus <= 0) return [];
  const sorted = [...old].sort((a, b) => revisionOf(a) - revisionOf(b));
  return sorted
    .slice(0, surplus)
    .filter(
      ({ spec, status, metadata }) =>
        spec.replicas === 0 &&
        (status?.replicas ?? 0) === 0 &&
        (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
        metadata.deletionTimestamp === undefined,
    );
}

/** Whether two sets of annotations say the same. */
export function sameAnnotations(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  return isDeepStrictEqual({ ...a }, { ...b });
}
