import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from './cluster.ts';
import { selectorOf } from './workloads.ts';

/** What is known of one pod: which version it runs, and how we know. */
export interface PodEvidence {
  readonly name: string;
  readonly onVersion: boolean;
  readonly ready: boolean;
  /**
   * `template`: the template that it was made of names the version. `untouched`: it has run since before the change.
   * `started`: it was made after the Secret carried the version.
   */
  readonly by: 'template' | 'untouched' | 'started';
  readonly startedAt: string | undefined;
}

/**
 * The pods of a workload that run or are about to; those that have ended use nothing any more.
 * @param wanted what their annotation must say; undefined: that they have none, being of before Rotor came
 */
export async function podsOn(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  annotation: string,
  wanted: string | undefined,
): Promise<readonly PodEvidence[]> {
  const namespace = workload.metadata?.namespace ?? '';
  const pods = await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace }, selectorOf(workload));
  return pods.filter((pod) => !hasEnded(pod)).map((pod) => evidenceOf(pod, annotation, wanted));
}

function evidenceOf(pod: ClusterObject, annotation: string, wanted: string | undefined): PodEvidence {
  const startedAt = pod.status?.startTime;
  return {
    name: pod.metadata?.name ?? '',
    onVersion: pod.metadata?.annotations?.[annotation] === wanted,
    ready: isReady(pod),
    by: wanted === undefined ? 'untouched' : 'template',
    startedAt: startedAt instanceof Date ? startedAt.toISOString() : startedAt,
  };
}

/** Succeeded and Failed are final. A pod that is being deleted still runs until its grace period is over, and counts. */
function hasEnded(pod: ClusterObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function isReady(pod: ClusterObject): boolean {
  const conditions: readonly { type?: string; status?: string }[] = pod.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
