import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { isReady, livePods } from './pod-evidence.ts';

/**
 * A StatefulSet that makes its pods in order waits for one that never becomes ready, also when its template is taken back:
 * only when the pod is gone it makes one of the template of before
 * (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback). So it is removed: it is of the
 * template that is being taken back, and serves nobody.
 * @param wanted what the annotation of pods of the template of before says
 * @returns words when that is not allowed
 */
export async function removeStuck(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  annotation: string,
  wanted: string | undefined,
): Promise<string | undefined> {
  const { kind, metadata, spec, status } = workload;
  if (kind !== 'StatefulSet' || spec?.podManagementPolicy === 'Parallel') return undefined;
  // Sooner it would make another of the same.
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0)) return undefined;
  for (const pod of await livePods(call, cluster, workload)) {
    const { name = '', namespace = '', uid = '', resourceVersion = '', annotations } = pod.metadata ?? {};
    if (pod.metadata?.deletionTimestamp || isReady(pod) || annotations?.[annotation] === wanted) continue;
    try {
      await cluster.remove(
        call,
        { apiVersion: 'v1', kind: 'Pod', namespace, name },
        { uid, resourceVersion },
      );
    } catch (error) {
      if (!(error instanceof RotorError)) throw error;
      if (error.code === 'cluster.forbidden')
        return `it waits for pod ${name}, which is not ready; remove it: kubectl --context ${cluster.name} -n ${namespace} delete pod ${name} (workers do it where they may "delete" pods)`;
      // It has changed meanwhile, perhaps for the better: the next look tells.
      if (error.code !== 'cluster.conflict') throw error;
    }
  }
  return undefined;
}
