import { isObject, type Json, type JsonObject } from './json.ts';

/** Maps of the built-in kinds that are left out when they are empty; other empty objects mean something. */
const MAPS = new Set([
  'labels',
  'annotations',
  'data',
  'binaryData',
  'matchLabels',
  'nodeSelector',
  'limits',
  'requests',
]);
/** Lists that are kept when they are empty. */
const KEPT_LISTS = new Set(['rules', 'initContainerStatuses', 'endpoints']);

/** Leaves out of a built-in object what its type would leave out: nulls, empty lists, empty maps. In place. */
export function tidy(object: JsonObject): void {
  for (const [name, value] of Object.entries(object)) {
    if (isObject(value)) tidy(value);
    if (Array.isArray(value)) for (const item of value) if (isObject(item)) tidy(item);
    if (isLeftOut(name, value)) delete object[name];
  }
}

function isLeftOut(name: string, value: Json | undefined): boolean {
  if (value === null || value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0 && !KEPT_LISTS.has(name);
  return isObject(value) && MAPS.has(name) && Object.keys(value).length === 0;
}
