import type { ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { fitting } from './secret-names.ts';

/** Workloads whose controller replaces pods when their template changes. */
export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet'] as const;
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

/**
 * Annotation of a pod template that says with which version of a Secret its pods start. A value per version, not a time:
 * two changes in one second are two changes, and going back to a version finds the very ReplicaSet that had it.
 */
export function versionAnnotation(secret: string): string {
  // The name part of an annotation has 63 characters, that of a Secret 253.
  return `secret.rotor.dev/${fitting(secret, 63)}`;
}

/** Where a workload stands on its way to the template that it was given. */
export type Progress =
  | { readonly state: 'done'; readonly pods: number }
  | { readonly state: 'moving'; readonly detail: string }
  /** It won't get there by itself. */
  | { readonly state: 'stuck'; readonly detail: string };

/** Reads a workload's status as `kubectl rollout status` does, and stricter: no old pod may be left. */
export function progressOf(workload: ClusterObject): Progress {
  const { kind = '', metadata, spec = {}, status = {} } = workload;
  if ((status.observedGeneration ?? 0) < (metadata?.generation ?? 0))
    return { state: 'moving', detail: 'its controller has not seen the change yet' };
  if (kind === 'DaemonSet') return daemonSetProgress(spec, status);
  const wanted: number = spec.replicas ?? 1;
  const updated: number = status.updatedReplicas ?? 0;
  const available: number = status.availableReplicas ?? 0;
  const total: number = status.replicas ?? 0;
  const progressing = conditionOf(workload, 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded')
    return {
      state: 'stuck',
      detail: `${updated} of ${wanted} pods are new, ${available} available; it made no progress within its deadline`,
    };
  if (updated < wanted) {
    const paused = spec.paused === true ? '; it is paused, and goes on when somebody resumes it' : '';
    return { state: 'moving', detail: `${updated} of ${wanted} pods are new${paused}` };
  }
  if (total > updated) return { state: 'moving', detail: `${total - updated} old pods are still there` };
  if (available < wanted)
    return { state: 'moving', detail: `${available} of ${wanted} new pods are available` };
  if (kind === 'StatefulSet' && status.currentRevision !== status.updateRevision)
    return { state: 'moving', detail: 'its current revision is not the updated one yet' };
  return { state: 'done', pods: wanted };
}

function daemonSetProgress(spec: ClusterObject, status: ClusterObject): Progress {
  const wanted: number = status.desiredNumberScheduled ?? 0;
  const updated: number = status.updatedNumberScheduled ?? 0;
  const available: number = status.numberAvailable ?? 0;
  if (spec.updateStrategy?.type === 'OnDelete')
    return { state: 'stuck', detail: 'its update strategy is OnDelete: its pods are replaced by hand only' };
  if (updated < wanted) return { state: 'moving', detail: `${updated} of ${wanted} pods are new` };
  if (available < wanted)
    return { state: 'moving', detail: `${available} of ${wanted} new pods are available` };
  return { state: 'done', pods: wanted };
}

/** What makes a workload unable to roll, before anything is changed; undefined when it may. */
export function obstacleOf(workload: ClusterObject): string | undefined {
  const { kind, spec = {} } = workload;
  if (spec.paused === true) return 'it is paused';
  if (kind === 'StatefulSet' && spec.updateStrategy?.type === 'OnDelete')
    return 'its update strategy is OnDelete';
  if (kind === 'DaemonSet' && spec.updateStrategy?.type === 'OnDelete')
    return 'its update strategy is OnDelete';
  if (kind === 'StatefulSet' && (spec.updateStrategy?.rollingUpdate?.partition ?? 0) > 0)
    return 'its rolling update has a partition, so that some pods would keep the old version';
  const progress = progressOf(workload);
  return progress.state === 'done' ? undefined : progress.detail;
}

function conditionOf(object: ClusterObject, type: string): { status?: string; reason?: string } | undefined {
  return (object.status?.conditions ?? []).find((condition: { type?: string }) => condition.type === type);
}

/** The selector of a workload's pods, as the API takes it. `matchExpressions` are as documented for LabelSelector. */
export function selectorOf(workload: ClusterObject): string {
  const { matchLabels = {}, matchExpressions = [] } = workload.spec?.selector ?? {};
  const equal = Object.entries(matchLabels).map(([name, value]) => `${name}=${value}`);
  const expressions = matchExpressions.map(
    ({ key, operator, values = [] }: { key: string; operator: string; values?: string[] }) => {
      if (operator === 'Exists') return key;
      if (operator === 'DoesNotExist') return `!${key}`;
      return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
    },
  );
  return [...equal, ...expressions].join(',');
}

export function workloadRef(kind: WorkloadKind, namespace: string, name: string): ObjectRef {
  return { apiVersion: 'apps/v1', kind, namespace, name };
}
