import { isObject, type JsonObject, type KubeObject, objectAt, textAt, valueAt } from './json.ts';
import type { ResourceType } from './resources.ts';
import { badRequest } from './status.ts';

const SPEC_PATH = ['spec', 'replicas'];
const STATUS_PATH = ['status', 'replicas'];

/** The Scale of an object. */
export function scaleOf(type: ResourceType, object: KubeObject): JsonObject {
  const paths = type.custom?.scale;
  const { name, namespace = '', uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths ? selectorPath(object, paths) : selectorText(valueAt(object, 'spec', 'selector'));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: valueAt(object, ...specPath(type)) ?? 0 },
    status: {
      replicas: valueAt(object, ...pathOf(paths?.statusReplicasPath, STATUS_PATH)) ?? 0,
      ...(selector ? { selector } : {}),
    },
  };
}

/** The object with the replicas of a Scale. @throws ApiError 400 */
export function withScale(type: ResourceType, object: KubeObject, scale: JsonObject): KubeObject {
  if (scale.kind !== undefined && scale.kind !== 'Scale') throw badRequest('expected a Scale');
  const sentVersion = textAt(scale, 'metadata', 'resourceVersion');
  const next = structuredClone(object);
  const path = specPath(type);
  const last = path.at(-1) ?? 'replicas';
  let at: JsonObject = next;
  for (const name of path.slice(0, -1)) {
    if (!isObject(at[name])) at[name] = {};
    at = at[name] as JsonObject;
  }
  at[last] = valueAt(scale, 'spec', 'replicas') ?? 0;
  next.metadata.resourceVersion = sentVersion ?? object.metadata.resourceVersion;
  return next;
}

function specPath(type: ResourceType): string[] {
  return pathOf(type.custom?.scale?.specReplicasPath, SPEC_PATH);
}

function pathOf(path: unknown, otherwise: string[]): string[] {
  return typeof path === 'string' ? path.split('.').filter((part) => part !== '') : otherwise;
}

function selectorPath(object: KubeObject, paths: JsonObject): string | undefined {
  const path = pathOf(paths.labelSelectorPath, []);
  const found = path.length > 0 ? valueAt(object, ...path) : undefined;
  return typeof found === 'string' ? found : undefined;
}

function selectorText(selector: unknown): string | undefined {
  if (!isObject(selector)) return undefined;
  const labels = Object.entries(objectAt(selector, 'matchLabels')).map(([key, value]) => `${key}=${value}`);
  return labels.sort().join(',');
}
