import type { Call } from '../../core/call.ts';
import type { Cluster, ObjectRef } from '../../core/kubernetes/cluster.ts';

interface Endpoint {
  readonly conditions?: { readonly ready?: boolean };
  readonly targetRef?: { readonly kind?: string; readonly name?: string };
}

/**
 * Names of the pods to which a Service leads now, by its EndpointSlices.
 * @returns undefined when it has none (a cluster whose controllers write no slices)
 */
export async function endpointPods(
  call: Call,
  cluster: Cluster,
  { namespace, name }: ObjectRef,
): Promise<readonly string[] | undefined> {
  const slices = await cluster.list(
    call,
    { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', namespace },
    `kubernetes.io/service-name=${name}`,
  );
  if (slices.length === 0) return undefined;
  const endpoints: readonly Endpoint[] = slices.flatMap((slice) => slice.endpoints ?? []);
  return endpoints.flatMap(({ conditions, targetRef }) =>
    conditions?.ready !== false && targetRef?.kind === 'Pod' && targetRef.name ? [targetRef.name] : [],
  );
}
