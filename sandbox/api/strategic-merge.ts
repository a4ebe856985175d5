import { isObject, type Json, type JsonObject, objectsAt } from './json.ts';

/** Merge keys of lists; `parent/field` before `field`. Lists that are not here are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  imagePullSecrets: 'name',
  secrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
  ownerReferences: 'uid',
  conditions: 'type',
  addresses: 'type',
  taints: 'key',
  podIPs: 'ip',
  'containers/ports': 'containerPort',
  'initContainers/ports': 'containerPort',
  'spec/ports': 'port',
};

const SETS = new Set(['finalizers']);

/** A strategic merge patch on a built-in object: lists merged by their keys, with the `$` directives. */
export function strategicMerge(current: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(current, patch, '') ?? {};
}

function mergeObject(current: JsonObject, patch: JsonObject, field: string): JsonObject | undefined {
  const { $patch: directive, $retainKeys: retained, ...rest } = patch;
  if (directive === 'delete') return undefined;
  const merged: JsonObject = directive === 'replace' ? {} : { ...current };
  if (Array.isArray(retained)) {
    for (const name of Object.keys(merged)) if (!retained.includes(name)) delete merged[name];
  }
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith('$setElementOrder/')) continue;
    if (name.startsWith('$deleteFromPrimitiveList/')) {
      const list = name.slice('$deleteFromPrimitiveList/'.length);
      const now = merged[list];
      const gone = Array.isArray(value) ? value : [];
      if (Array.isArray(now)) merged[list] = now.filter((item) => !gone.includes(item));
      continue;
    }
    const next = mergeValue(merged[name], value, field, name);
    if (next === undefined || next === null) delete merged[name];
    else merged[name] = next;
  }
  return merged;
}

function mergeValue(
  current: Json | undefined,
  patch: Json | undefined,
  parent: string,
  field: string,
): Json | undefined {
  if (isObject(patch)) return mergeObject(isObject(current) ? current : {}, patch, field);
  if (!Array.isArray(patch)) return patch;
  const list = Array.isArray(current) ? current : [];
  if (SETS.has(field)) return [...list, ...patch.filter((item) => !list.includes(item))];
  const key = MERGE_KEYS[`${parent}/${field}`] ?? MERGE_KEYS[field];
  if (key === undefined || !patch.every(isObject)) return patch.filter((item) => !isReplaceMark(item));
  return mergeList(objectsAt(list), objectsAt(patch), key, field);
}

const isReplaceMark = (item: Json) =>
  isObject(item) && item.$patch === 'replace' && Object.keys(item).length === 1;

function mergeList(current: JsonObject[], patch: JsonObject[], key: string, field: string): JsonObject[] {
  const merged = patch.some(isReplaceMark) ? [] : [...current];
  for (const item of patch) {
    if (isReplaceMark(item)) continue;
    const at = merged.findIndex((own) => own[key] === item[key]);
    const next = mergeObject(merged[at] ?? {}, item, field);
    if (next === undefined) {
      if (at >= 0) merged.splice(at, 1);
    } else if (at >= 0) merged[at] = next;
    else merged.push(next);
  }
  return merged;
}
