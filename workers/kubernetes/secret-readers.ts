import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type Cluster, type ClusterObject, nameOf } from '../../core/kubernetes/cluster.ts';
import { jobHasEnded } from './consumers/kinds.ts';
import { secretReferences } from './secret-references.ts';

/** Where pods come from, and how to their spec. An old ReplicaSet of a Deployment starts none any more. */
const TEMPLATES = [
  { apiVersion: 'apps/v1', kind: 'Deployment', specOf: (each: ClusterObject) => each.spec?.template?.spec },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', specOf: (each: ClusterObject) => each.spec?.template?.spec },
  { apiVersion: 'apps/v1', kind: 'DaemonSet', specOf: (each: ClusterObject) => each.spec?.template?.spec },
  {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    specOf: (each: ClusterObject) => (each.spec?.replicas === 0 ? undefined : each.spec?.template?.spec),
  },
  {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    specOf: (each: ClusterObject) => each.spec?.jobTemplate?.spec?.template?.spec,
  },
  {
    apiVersion: 'batch/v1',
    kind: 'Job',
    specOf: (each: ClusterObject) => (jobHasEnded(each) ? undefined : each.spec?.template?.spec),
  },
  {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    specOf: (each: ClusterObject) => each.spec?.template?.spec,
  },
] as const;

/**
 * Pods that run, and templates of pods to come, that read a Secret by its name.
 * @throws RotorError `cluster.forbidden` when one of the kinds may not be listed: then nobody knows
 */
export async function readersIn(
  call: Call,
  cluster: Cluster,
  namespace: string,
  secret: string,
): Promise<readonly string[]> {
  const reads = (spec: unknown) =>
    secretReferences(spec as ClusterObject).some(({ name }) => name === secret);
  const readers: string[] = [];
  for (const pod of await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace }))
    if (isToRun(pod) && reads(pod.spec)) readers.push(named('Pod', pod));
  for (const { apiVersion, kind, specOf } of TEMPLATES)
    for (const each of await listIfServed(call, cluster, { apiVersion, kind, namespace }))
      if (reads(specOf(each))) readers.push(named(kind, each));
  return readers;
}

/** Not every cluster knows every kind: then nothing of it is there. */
async function listIfServed(
  call: Call,
  cluster: Cluster,
  of: Parameters<Cluster['list']>[1],
): Promise<readonly ClusterObject[]> {
  try {
    return await cluster.list(call, of);
  } catch (error) {
    if (error instanceof RotorError && error.code === 'cluster.not-found') return [];
    throw error;
  }
}

/** Pods that have ended, or are being deleted, start no container any more; those that run have read what they need. */
function isToRun({ metadata, status }: ClusterObject): boolean {
  return (
    metadata?.deletionTimestamp === undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed'
  );
}

function named(kind: string, { metadata }: ClusterObject): string {
  return nameOf({ kind, namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' });
}
