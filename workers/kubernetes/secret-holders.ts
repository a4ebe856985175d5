import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { timeOf } from './last-progress.ts';
import { secretReferences } from './secret-references.ts';

/** A pod that has a Secret: in its environment, or in a volume. */
export interface SecretHolder {
  /** `shop/db`. */
  readonly secret: string;
  readonly cluster: string;
  /** `shop/web-1`. */
  readonly pod: string;
  /** `ReplicaSet web-5d4`, where something made it. */
  readonly owner: string | undefined;
  readonly node: string | undefined;
  readonly serviceAccount: string | undefined;
  readonly phase: string | undefined;
  readonly startedAt: string | undefined;
}

/**
 * The pods of a namespace that read a Secret by its name, those that have ended and still are there included: they had it.
 * @throws RotorError `cluster.forbidden` when pods may not be listed: then nobody knows
 */
export async function holdersIn(
  call: Call,
  cluster: Cluster,
  namespace: string,
  secret: string,
): Promise<readonly SecretHolder[]> {
  const pods = await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace });
  return pods
    .filter((pod) => secretReferences(pod.spec as ClusterObject).some(({ name }) => name === secret))
    .map(({ metadata, spec, status }) => {
      const owner = metadata?.ownerReferences?.[0];
      const startedMs = timeOf(status?.startTime);
      return {
        secret: `${namespace}/${secret}`,
        cluster: cluster.name,
        pod: `${namespace}/${metadata?.name ?? ''}`,
        owner: owner && `${owner.kind} ${owner.name}`,
        node: spec?.nodeName,
        serviceAccount: spec?.serviceAccountName,
        phase: status?.phase,
        startedAt: startedMs === undefined ? undefined : new Date(startedMs).toISOString(),
      };
    });
}
