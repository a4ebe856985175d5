import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { dataWrittenMs } from './copied.ts';
import type { DeliveredSecret } from './delivered.ts';
import { timeOf } from './last-progress.ts';
import { livePods, madeSince, type PodEvidence } from './pod-evidence.ts';

/** What is known of a Secret that was changed and changed back. Times in milliseconds since 1970. */
export interface ThereAndBack {
  /** When the delivery of the other version was announced. */
  readonly changedMs: number;
  /** When the API server took the data of before again, in whole seconds. */
  readonly backMs: number;
}

/** What the way back is of. */
export interface WayBack {
  readonly ref: ObjectRef;
  readonly workload: ClusterObject;
  readonly secret: DeliveredSecret;
  readonly annotation: string;
  /** The annotation's value in the template of before. */
  readonly wanted: string | undefined;
  /** When the delivery of the other version was announced; undefined when it never was. */
  readonly changedSince: Date | undefined;
}

/** Template annotation of a workload whose pods were made anew on a way back: for which write of the Secret. */
const remadeFor = (annotation: string) => `remade.${annotation}`;

/**
 * A pod of the template of before read the other version all the same when it was made, or a container of it was started
 * again, while the Secret carried that: it would hold a credential that is about to be taken away. Its workload's pods are
 * made anew then.
 * @param pods those of the template of before
 * @returns words while there are such pods; else the same pods, each with how it is known to have the version of before
 */
export async function notBetween(
  call: Call,
  cluster: Cluster,
  { ref, workload, secret, annotation, wanted, changedSince }: WayBack,
  pods: readonly PodEvidence[],
): Promise<{ readonly notYet: string } | { readonly pods: readonly PodEvidence[] }> {
  const by = new Map<string, PodEvidence['by']>();
  const { namespace } = ref;
  const changedMs = changedSince?.getTime();
  // Under a name of the version's own a Secret never changes.
  if (changedMs === undefined || secret.name !== secret.logical) return { pods };
  const stable = await cluster.read(call, { apiVersion: 'v1', kind: 'Secret', namespace, name: secret.name });
  const backMs = stable && dataWrittenMs(stable);
  for (const pod of await livePods(call, cluster, workload)) {
    if (pod.metadata?.annotations?.[annotation] !== wanted) continue;
    const name = pod.metadata?.name ?? '';
    const seen = startedWhen(pod, workload, { changedMs, backMs: backMs ?? Number.POSITIVE_INFINITY });
    if (seen === 'between') {
      // Without the time of the write nobody knows either for which write they would be made anew.
      if (backMs === undefined)
        return {
          notYet: `pod ${name} may have started while secret ${namespace}/${secret.name} carried the other version: it has no note of when its data was written (metadata.managedFields); write the data once more`,
        };
      await remake(call, cluster, ref, workload, remadeFor(annotation), new Date(backMs).toISOString());
      return { notYet: `pod ${name} started while the Secret carried the other version; all are made anew` };
    }
    by.set(name, seen === 'before' ? 'untouched' : 'started-after');
  }
  return { pods: pods.map((pod) => ({ ...pod, by: by.get(pod.name) ?? pod.by })) };
}

/** Where a pod's starts lie. A second that both may lie in counts as between. */
export function startedWhen(
  pod: ClusterObject,
  workload: ClusterObject,
  { changedMs, backMs }: ThereAndBack,
): 'before' | 'between' | 'since' {
  if (madeSince(pod, workload, backMs).onVersion) return 'since';
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const states: readonly { state?: Partial<Record<'running' | 'terminated', { startedAt?: unknown }>> }[] = [
    ...containerStatuses,
    ...initContainerStatuses,
  ];
  const starts = states.map(({ state }) => timeOf((state?.running ?? state?.terminated)?.startedAt));
  const before = starts.every((start) => start !== undefined && start < changedMs - (changedMs % 1_000));
  return containerStatuses.length > 0 && before ? 'before' : 'between';
}

/**
 * Once for a write of the Secret: any change of a template makes its controller replace the pods. Where somebody else has
 * changed the workload meanwhile, its controller for instance, the next look decides anew.
 */
async function remake(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  { metadata, spec }: ClusterObject,
  name: string,
  value: string,
): Promise<void> {
  if (spec?.template?.metadata?.annotations?.[name] === value) return;
  const change = {
    metadata: { resourceVersion: metadata?.resourceVersion },
    spec: { template: { metadata: { annotations: { [name]: value } } } },
  };
  await cluster.mergePatch(call, ref, change).catch((error: unknown) => {
    if (!(error instanceof RotorError && error.code === 'cluster.conflict')) throw error;
  });
}
