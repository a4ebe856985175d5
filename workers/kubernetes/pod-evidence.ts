import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { timeOf } from './last-progress.ts';
import { selectorOf } from './workloads.ts';

/** What is known of one pod: which version it runs, and how we know. */
export interface PodEvidence {
  readonly name: string;
  readonly onVersion: boolean;
  readonly ready: boolean;
  /**
   * `template`: the template that it was made of names the version. `untouched`: it has run since before the change.
   * `started`: it was made after the Secret carried the version. `started-after`: its containers started after the Secret
   * had been written. `reported`: it named the version itself. `acknowledged`: it took the reload after the version had
   * reached its files. `mounted`: the Secrets Store CSI driver reports the version of what it has mounted there.
   */
  readonly by:
    | 'template'
    | 'untouched'
    | 'started'
    | 'started-after'
    | 'reported'
    | 'acknowledged'
    | 'mounted';
  /** Of a pod that mounts the store itself: what the volume driver reports, object by object. */
  readonly mounted?: Readonly<Record<string, string>>;
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
  const pods = await livePods(call, cluster, workload);
  return pods.map((pod) => evidenceOf(pod, annotation, wanted));
}

/**
 * The same pods by when they started: an environment is made when a container starts. Both times are written by the
 * cluster, the start by the pod's node and `sinceMs` by the API server, in whole seconds; what their clocks differ by, and
 * a start in the very second of the write but before it, isn't seen.
 */
export async function podsStartedSince(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  sinceMs: number,
): Promise<readonly PodEvidence[]> {
  const pods = await livePods(call, cluster, workload);
  return pods.map((pod) => {
    const startedMs = containersStartedMs(pod);
    return {
      name: pod.metadata?.name ?? '',
      onVersion: startedMs !== undefined && startedMs >= sinceMs,
      ready: isReady(pod),
      by: 'started-after',
      startedAt: startedMs === undefined ? undefined : new Date(startedMs).toISOString(),
    };
  });
}

/** The pods of a workload that run or are about to, those that are being deleted included. */
export async function livePods(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
): Promise<readonly ClusterObject[]> {
  const namespace = workload.metadata?.namespace ?? '';
  const pods = await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace }, selectorOf(workload));
  return pods.filter((pod) => !hasEnded(pod));
}

/** When the container that has run longest started; undefined while one of them doesn't run. */
function containersStartedMs(pod: ClusterObject): number | undefined {
  const containers: readonly { state?: { running?: { startedAt?: unknown } } }[] =
    pod.status?.containerStatuses ?? [];
  const starts = containers.map(({ state }) => timeOf(state?.running?.startedAt));
  if (starts.length === 0 || starts.includes(undefined)) return undefined;
  return Math.min(...starts.flatMap((start) => start ?? []));
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
export function hasEnded(pod: ClusterObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isReady(pod: ClusterObject): boolean {
  const conditions: readonly { type?: string; status?: string }[] = pod.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
