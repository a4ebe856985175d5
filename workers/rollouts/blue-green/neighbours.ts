import type { Call } from '../../../core/call.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { listedOrWarning } from '../../kubernetes/listed.ts';

/** What else is set on the pods of a Deployment, and meets its twin in a way that nobody may expect. */
export async function neighbourWarnings(
  call: Call,
  cluster: Cluster,
  deployment: ObjectRef,
  service: string,
): Promise<readonly string[]> {
  const { namespace } = deployment;
  const blue = await cluster.read(call, deployment);
  if (!blue) return [];
  const services = await listedOrWarning(call, cluster, { apiVersion: 'v1', kind: 'Service', namespace });
  const scalers = await listedOrWarning(call, cluster, {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    namespace,
  });
  return [
    ...(typeof services === 'string' ? [services] : otherServices(blue, services, service)),
    ...(typeof scalers === 'string' ? [scalers] : autoscalers(blue, scalers)),
  ];
}

/** Services besides the one that is switched: they lead to the twin's pods as soon as these are ready. */
export function otherServices(
  blue: ClusterObject,
  services: readonly ClusterObject[],
  switched: string,
): readonly string[] {
  const labels: Readonly<Record<string, string>> = blue.spec?.template?.metadata?.labels ?? {};
  return services.flatMap(({ metadata, spec }) => {
    const selector = Object.entries((spec?.selector ?? {}) as Readonly<Record<string, string>>);
    const selects = selector.length > 0 && selector.every(([name, value]) => labels[name] === value);
    if (!selects || metadata?.name === switched) return [];
    return [
      `service ${metadata?.namespace}/${metadata?.name} leads to the pods of deployment ${blue.metadata?.name} too: those of the twin will be behind it as soon as they are ready, before any gate is asked`,
    ];
  });
}

export function autoscalers(blue: ClusterObject, scalers: readonly ClusterObject[]): readonly string[] {
  return scalers.flatMap(({ metadata, spec }) => {
    const { kind, name } = spec?.scaleTargetRef ?? {};
    if (kind !== 'Deployment' || name !== blue.metadata?.name) return [];
    return [
      `horizontalpodautoscaler ${metadata?.namespace}/${metadata?.name} may take pods away from deployment ${name} while its twin serves: see that minReplicas (${spec?.minReplicas ?? 1}) carries the load for which it is led back to`,
    ];
  });
}
