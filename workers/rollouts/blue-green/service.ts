import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { selectorOf } from '../../kubernetes/workloads.ts';
import { BLUE, SLOT } from './twin.ts';

export function podsIn(namespace: string): ObjectRef {
  return { apiVersion: 'v1', kind: 'Pod', namespace, name: '' };
}

export function slicesIn(namespace: string): ObjectRef {
  return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', namespace, name: '' };
}

/** A Service that selects other pods than the Deployment's would be switched away from its clients. */
export function mismatch(blue: ClusterObject, service: ClusterObject): string | undefined {
  const selector: Readonly<Record<string, string>> = service.spec?.selector ?? {};
  const labels: Readonly<Record<string, string>> = blue.spec?.template?.metadata?.labels ?? {};
  const wanted = Object.entries(selector).filter(([name]) => name !== SLOT);
  if (wanted.length === 0) return `service ${service.metadata?.name} selects no pods`;
  const missing = wanted.find(([name, value]) => labels[name] !== value);
  return (
    missing && `service ${service.metadata?.name} selects ${missing.join('=')}, which its pods don't have`
  );
}

/** Labels of running pods may be changed without restarting them; their ReplicaSet doesn't select by this one. */
export async function labelPods(call: Call, cluster: Cluster, blue: ClusterObject): Promise<void> {
  const namespace = blue.metadata?.namespace ?? '';
  const pods = await cluster.list(call, podsIn(namespace), selectorOf(blue));
  for (const pod of pods) {
    const { name = '', labels = {} } = pod.metadata ?? {};
    if (labels[SLOT] === undefined)
      await cluster.mergePatch(
        call,
        { ...podsIn(namespace), name },
        { metadata: { labels: { [SLOT]: BLUE } } },
      );
  }
}

/**
 * One write, and none when it leads there.
 * @param slot undefined: the selector as it was before Rotor came
 * @throws RotorError `cluster.not-found`
 */
export async function switchService(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  slot: string | undefined,
): Promise<void> {
  const service = await cluster.read(call, ref);
  if (!service)
    throw new RotorError('cluster.not-found', {
      what: `there is no ${nameOf(ref)} in cluster ${cluster.name}`,
    });
  if (service.spec?.selector?.[SLOT] === slot) return;
  const { resourceVersion } = service.metadata ?? {};
  // The precondition: somebody who changes the selector in this moment must not be overwritten.
  await cluster.mergePatch(call, ref, {
    metadata: { resourceVersion },
    spec: { selector: { [SLOT]: slot ?? null } },
  });
}
