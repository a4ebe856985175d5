import { z } from 'zod';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type Cluster, type ClusterObject, nameOf, type ObjectRef } from '../../core/kubernetes/cluster.ts';
import { objectName as name } from '../../core/kubernetes/names.ts';
import { workloadRef } from '../kubernetes/workloads.ts';

/** How the spec of a consumer names its workload: exactly one of the three kinds. */
export const workloadFields = {
  deployment: name.optional(),
  statefulSet: name.optional(),
  daemonSet: name.optional(),
  namespace: name,
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
};

export interface NamedWorkload {
  readonly deployment?: string | undefined;
  readonly statefulSet?: string | undefined;
  readonly daemonSet?: string | undefined;
  readonly namespace: string;
}

/** @returns what is wrong with how a workload is named; undefined when nothing is */
export function namingProblem({ deployment, statefulSet, daemonSet }: NamedWorkload): string | undefined {
  const named = [deployment, statefulSet, daemonSet].filter((each) => each !== undefined);
  return named.length === 1 ? undefined : 'needs exactly one of `deployment`, `statefulSet` and `daemonSet`';
}

export function refOfNamed({ deployment, statefulSet, daemonSet, namespace }: NamedWorkload): ObjectRef {
  if (deployment) return workloadRef('Deployment', namespace, deployment);
  if (statefulSet) return workloadRef('StatefulSet', namespace, statefulSet);
  return workloadRef('DaemonSet', namespace, daemonSet ?? '');
}

/** @throws RotorError `cluster.not-found` naming the consumer */
export async function readOf(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  consumer: string,
): Promise<ClusterObject> {
  const found = await cluster.read(call, ref);
  if (found) return found;
  throw new RotorError('cluster.not-found', {
    what: `consumer ${consumer}: there is no ${nameOf(ref)} in cluster ${cluster.name}`,
  });
}
