import type { CustomType } from './custom-type.ts';
import { isObject, type Json, type JsonObject, type KubeObject } from './json.ts';
import { itemKey, type Shape, schemaShape } from './list-keys.ts';
import type { Target } from './request.ts';
import { groupVersionOf } from './resources.ts';
import { ApiError, type Cause, duplicate } from './status.ts';

interface Duplicate {
  /** Of the list, such as `spec.steps`. */
  readonly list: string;
  readonly index: number;
  readonly key: JsonObject | Json;
}

/** Items that a list of a custom object has twice, though its schema calls it a set, or a map under keys. */
export function duplicateCauses(type: CustomType, object: KubeObject): Cause[] {
  return duplicatesIn(object, schemaShape(type.schema)).map(({ list, index, key }) =>
    duplicate(`${list}[${index}]`, key),
  );
}

/** @throws ApiError for an applied configuration with such items, which can't be told apart */
export function refuseDuplicates({ type, namespace, name }: Target, configuration: JsonObject): void {
  if (!type.custom) return;
  const found = duplicatesIn(configuration, schemaShape(type.custom.schema));
  if (found.length === 0) return;
  const lines = found.map(({ list, key }) => {
    const shown = isObject(key)
      ? `[${Object.entries(key).map(([field, value]) => `${field}=${JSON.stringify(value)}`)}]`
      : JSON.stringify(key);
    return `.${list}: duplicate entries for key ${shown}`;
  });
  const what = `(${namespace}/${name}; ${groupVersionOf(type)}, Kind=${type.kind})`;
  throw new ApiError(500, '', `failed to create typed patch object ${what}: ${lines.join('\n')}`);
}

function duplicatesIn(value: Json | undefined, shape: Shape, path = ''): Duplicate[] {
  if (isObject(value)) {
    return Object.entries(value).flatMap(([name, child]) =>
      path === '' && name === 'metadata'
        ? []
        : duplicatesIn(child, shape.child(name), path === '' ? name : `${path}.${name}`),
    );
  }
  if (!Array.isArray(value)) return [];
  const inner = value.flatMap((item, index) => duplicatesIn(item, shape.item, `${path}[${index}]`));
  if (shape.list === 'atomic') return inner;
  const keys = shape.list === 'set' ? [] : shape.list;
  const texts = value.map((item) =>
    keys.length === 0 ? JSON.stringify(item) : itemKey(keys, item, shape.keyDefaults),
  );
  const own = texts.flatMap((text, index): Duplicate[] =>
    texts.indexOf(text) < index ? [{ list: path, index, key: JSON.parse(text) }] : [],
  );
  return [...own, ...inner];
}
