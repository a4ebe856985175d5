import { type JsonObject, objectsAt, textAt } from './json.ts';
import type { Target } from './request.ts';
import { conflict, notFound } from './status.ts';
import { timestamp, type World } from './world.ts';

/** Gives a pod to a node, once. @throws ApiError 404, 409 */
export function bindPod(world: World, target: Target, binding: JsonObject): JsonObject {
  const { type, namespace, name } = target;
  const pod = world.store.get(type.storage, namespace, name);
  if (!pod) throw notFound(type, name);
  const taken = textAt(pod, 'spec', 'nodeName');
  const node = textAt(binding, 'target', 'name') ?? '';
  if (taken) throw conflict(type, name, `pod ${name} is already assigned to node "${taken}"`);
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(world),
  };
  const others = objectsAt(pod, 'status', 'conditions').filter((item) => item.type !== 'PodScheduled');
  world.store.put(type.storage, {
    ...pod,
    spec: { ...(pod.spec as JsonObject), nodeName: node },
    status: { ...(pod.status as JsonObject), conditions: [...others, scheduled] },
  });
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
}
