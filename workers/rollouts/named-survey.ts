import type { Call } from '../../core/call.ts';
import type { Cluster, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { referencesOf } from '../kubernetes/consumers/references.ts';
import { mountsOf } from '../kubernetes/mounts/decide.ts';
import { livePods } from '../kubernetes/pod-evidence.ts';
import { belongsTo } from '../kubernetes/secret-names.ts';
import type { Survey } from './rollout.ts';

/**
 * What `plan` shows of a workload that is listed by hand, as of one that was found. That it isn't there is told by the
 * session's own plan.
 */
export async function surveyNamed(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  {
    consumer,
    moves,
    secretName,
    secretProviderClass,
  }: {
    readonly consumer: string;
    /** The kind of its rollout. */
    readonly moves: string;
    readonly secretName?: string | undefined;
    readonly secretProviderClass?: string | undefined;
  },
): Promise<Survey> {
  const workload = await cluster.read(call, ref);
  const named = { consumer, workload: `${ref.kind.toLowerCase()} ${ref.namespace}/${ref.name}`, moves };
  if (!workload) return { found: [{ ...named, reads: [], pods: 0 }], warnings: [] };
  const read = referencesOf(workload.spec?.template?.spec).filter(
    ({ secret }) => secretName !== undefined && belongsTo(secretName, secret),
  );
  const mounts = secretProviderClass === undefined ? [] : mountsOf(workload, secretProviderClass);
  const reads = [
    ...read.map(({ by, where }) => (where === '' ? by : `${by} of ${where}`)),
    ...mounts.map(({ container }) => `mount of container ${container}`),
  ];
  const pods = (await livePods(call, cluster, workload)).length;
  const source = secretName === undefined ? `class ${secretProviderClass}` : `secret ${secretName}`;
  const unread = `consumer ${consumer}: nothing in the pod template of ${named.workload} names ${source}; is that its name?`;
  return { found: [{ ...named, reads, pods }], warnings: reads.length === 0 ? [unread] : [] };
}
