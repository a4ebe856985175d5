import { type ClusterObject, FIELD_MANAGER } from '../../core/kubernetes/cluster.ts';

interface ManagedFields {
  readonly manager?: string;
  readonly subresource?: string;
  readonly time?: Date | string;
  readonly fieldsV1?: object;
}

/**
 * When a workload last came closer to the template that Rotor gave it: when the template was given, or one of its pods
 * was made or became ready. All of these are written by the cluster, so that every worker finds the same; they have whole
 * seconds.
 * @param pods those of the wanted version
 * @returns milliseconds since 1970; undefined when Rotor's hand isn't seen on the template
 */
export function lastProgressMs(workload: ClusterObject, pods: readonly ClusterObject[]): number | undefined {
  const given = templateGivenMs(workload);
  if (given === undefined) return undefined;
  const steps = pods.flatMap((pod) => [timeOf(pod.metadata?.creationTimestamp), readySinceMs(pod)]);
  return Math.max(given, ...steps.filter((time) => time !== undefined));
}

/**
 * The API server notes at every manager of fields when it last changed one of them, also when it took one away. Whatever
 * else Rotor writes at a workload it writes together with the template.
 */
function templateGivenMs(workload: ClusterObject): number | undefined {
  const entries: readonly ManagedFields[] = workload.metadata?.managedFields ?? [];
  const times = entries
    .filter(({ manager, subresource }) => manager === FIELD_MANAGER && !subresource)
    .map(({ time }) => timeOf(time));
  return times.reduce(
    (latest, time) => (time !== undefined && time > (latest ?? 0) ? time : latest),
    undefined,
  );
}

function readySinceMs(pod: ClusterObject): number | undefined {
  const conditions: readonly { type?: string; status?: string; lastTransitionTime?: Date | string }[] =
    pod.status?.conditions ?? [];
  const ready = conditions.find(({ type, status }) => type === 'Ready' && status === 'True');
  return timeOf(ready?.lastTransitionTime);
}

/** The client makes dates of the times of the kinds that it knows. @returns milliseconds since 1970 */
export function timeOf(time: unknown): number | undefined {
  const ms = time instanceof Date ? time.getTime() : Date.parse(String(time));
  return Number.isNaN(ms) ? undefined : ms;
}
