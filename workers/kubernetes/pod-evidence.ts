import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { fieldsWrittenMs } from './field-ownership.ts';
import { timeOf } from './last-progress.ts';
import { progressOf, selectorOf } from './workloads.ts';

/** What is known of one pod: which version it runs, and how we know. */
export interface PodEvidence {
  readonly name: string;
  readonly onVersion: boolean;
  readonly ready: boolean;
  /**
   * `template`: the template that it was made of names the version. `untouched`: it has run since before the change.
   * `started`: it was made after the Secret carried the version. `started-after`: the same of a pod that a delegate let be
   * made. `reported`: it named the version itself. `acknowledged`: it took the reload after the version had
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

/** A pod by when it was made; `problem` says in words why that doesn't prove that it has what was written. */
export type PodMadeSince = PodEvidence & { readonly problem?: string };

/**
 * The same pods by whether they were made after a write; both times are the API server's. When containers started isn't
 * looked at: one that is started again in an old pod has the files and what an init container left there from before, and
 * so has one that was long in starting, as files are mounted before.
 * @param writtenMs in whole seconds
 */
export async function podsMadeSince(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  writtenMs: number,
): Promise<readonly PodMadeSince[]> {
  const pods = await livePods(call, cluster, workload);
  return pods.map((pod) => madeSince(pod, workload, writtenMs));
}

/**
 * Of a pod made in the very second of the write nobody knows which came first. There the pod has what was written when its
 * workload was given its template in or after that second, as a delegate does that has seen the write, and all pods are of
 * that template by now.
 */
export function madeSince(pod: ClusterObject, workload: ClusterObject, writtenMs: number): PodMadeSince {
  const { name = '', creationTimestamp, deletionTimestamp } = pod.metadata ?? {};
  const madeMs = timeOf(creationTimestamp);
  const evidence = (problem?: string): PodMadeSince => ({
    name,
    onVersion: problem === undefined,
    ready: isReady(pod),
    by: 'started-after',
    startedAt: madeMs === undefined ? undefined : new Date(madeMs).toISOString(),
    ...(problem === undefined ? {} : { problem }),
  });
  if (madeMs === undefined || madeMs < writtenMs)
    return evidence('has run since before the version was written');
  if (madeMs > writtenMs) return evidence();
  const templateMs = fieldsWrittenMs(workload, ['spec', 'template']);
  const replaced =
    templateMs !== undefined &&
    templateMs >= writtenMs &&
    deletionTimestamp === undefined &&
    progressOf(workload).state === 'done';
  return replaced
    ? evidence()
    : evidence('was made in the very second in which the version was written, perhaps before it');
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

function evidenceOf(pod: ClusterObject, annotation: string, wanted: string | undefined): PodEvidence {
  return {
    name: pod.metadata?.name ?? '',
    onVersion: pod.metadata?.annotations?.[annotation] === wanted,
    ready: isReady(pod),
    by: wanted === undefined ? 'untouched' : 'template',
    startedAt: startOfPod(pod),
  };
}

/** When its node took a pod on; undefined before. */
export function startOfPod({ status }: ClusterObject): string | undefined {
  const at = status?.startTime;
  return at instanceof Date ? at.toISOString() : at;
}

/** Succeeded and Failed are final. A pod that is being deleted still runs until its grace period is over, and counts. */
export function hasEnded(pod: ClusterObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isReady(pod: ClusterObject): boolean {
  const conditions: readonly { type?: string; status?: string }[] = pod.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
