import { difference, emptySet, type FieldSet, fieldsOf, without } from './field-set.ts';
import { isObject, type JsonObject, textAt } from './json.ts';
import { ownable, shapeOf } from './managed-fields.ts';
import type { ResourceType } from './resources.ts';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * What kubectl's server-side apply may take over without force: the fields that kubectl's client-side apply
 * has set before, as its annotation tells, as long as they still have those values.
 */
export function takenOver(type: ResourceType, live: JsonObject, manager: string): FieldSet {
  const text = textAt(live, 'metadata', 'annotations', ANNOTATION);
  if (manager !== 'kubectl' || text === undefined) return emptySet();
  let applied: unknown;
  try {
    applied = JSON.parse(text);
  } catch {
    return emptySet();
  }
  if (!isObject(applied)) return emptySet();
  const shape = shapeOf(type);
  const then = ownable(type, applied, '');
  const { changed, removed } = difference(then, ownable(type, live, ''), shape);
  return without(without(fieldsOf(then, shape), changed), removed);
}
