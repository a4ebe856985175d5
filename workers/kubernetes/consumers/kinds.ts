import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import type { WireObject } from '../../../core/kubernetes/collections.ts';
import { type PodSpec, referencesOf, type SecretReference } from './references.ts';

/** What makes an object itself within a cluster. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What is kept of a workload or pod: who it is, whose it is, and which Secrets it reads. */
export interface Reader extends ObjectName {
  readonly references: readonly SecretReference[];
  /** The controller that made it. */
  readonly owner: ObjectName | undefined;
  /** Of an Argo Rollout: the Deployment (or other) whose template it takes instead of one of its own. */
  readonly templateOf: ObjectName | undefined;
  readonly createdAt: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

interface WatchedKind {
  readonly apiVersion: string;
  readonly kind: string;
  /** Without it nothing could be proven: what runs are pods, and ReplicaSets tell whose they are. */
  readonly needed?: true;
  /** Not in every cluster. */
  readonly optional?: true;
}

/** The kinds that are followed. Whatever else makes pods is seen by its pods. */
export const WATCHED: readonly WatchedKind[] = [
  { apiVersion: 'v1', kind: 'Pod', needed: true },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet', needed: true },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'batch/v1', kind: 'CronJob' },
  { apiVersion: 'batch/v1', kind: 'Job' },
  { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', optional: true },
];

/** Labels by which Rotor knows its own objects; no others are kept. */
const OURS = 'rotor.dev/';

/**
 * What is kept of an object of a watched kind.
 * @returns undefined when it reads nothing any more, and never will: a pod or Job that has ended
 */
export function readerOf(apiVersion: string, kind: string, object: WireObject): Reader | undefined {
  if (kind === 'Pod' && ['Succeeded', 'Failed'].includes(object.status?.phase)) return undefined;
  if (kind === 'Job' && jobHasEnded(object)) return undefined;
  const { name, namespace = '', ownerReferences = [], creationTimestamp, labels } = object.metadata;
  const owner = ownerReferences.find(({ controller }) => controller === true);
  const references = referencesOf(podSpecOf(kind, object));
  return {
    apiVersion,
    kind,
    namespace,
    name,
    references,
    templateOf: kind === 'Rollout' ? workloadRefOf(object) : undefined,
    owner: owner && { apiVersion: owner.apiVersion, kind: owner.kind, namespace, name: owner.name },
    createdAt: creationTimestamp,
    labels: ours(labels),
  };
}

/** https://argo-rollouts.readthedocs.io/en/stable/features/specification/: `spec.workloadRef`, always in its own namespace. */
function workloadRefOf(object: WireObject): ObjectName | undefined {
  const { apiVersion, kind, name } = object.spec?.workloadRef ?? {};
  if (!name) return undefined;
  return { apiVersion, kind, namespace: object.metadata.namespace ?? '', name };
}

function podSpecOf(kind: string, { spec }: WireObject): PodSpec | undefined {
  if (kind === 'Pod') return spec;
  if (kind === 'CronJob') return spec?.jobTemplate?.spec?.template?.spec;
  return spec?.template?.spec;
}

/** Of a Job; one that waits between two tries, or is suspended, has no pod now and will have one. */
export function jobHasEnded(job: WireObject | ClusterObject): boolean {
  const conditions: readonly { type?: string; status?: string }[] = job.status?.conditions ?? [];
  return conditions.some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

function ours(labels: Readonly<Record<string, string>> | undefined) {
  const found = Object.entries(labels ?? {}).filter(([name]) => name.startsWith(OURS));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

export function keyOfName({ apiVersion, kind, namespace, name }: ObjectName): string {
  // Versions of one API group show the same objects.
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group}/${kind}/${namespace}/${name}`;
}
