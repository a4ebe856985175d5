import { isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts';

/** Drops what the schema doesn't name, in place, and adds the paths of it to `dropped`. */
export function prune(value: Json | undefined, schema: JsonObject, dropped: string[], path = ''): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      prune(item, objectAt(schema, 'items'), dropped, `${path}[${index}]`);
    });
    return;
  }
  if (!isObject(value)) return;
  const properties = objectAt(schema, 'properties');
  const additional = schema.additionalProperties;
  const keeps = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const isResource = path === '' || schema['x-kubernetes-embedded-resource'] === true;
  for (const [name, child] of Object.entries(value)) {
    if (isResource && ['apiVersion', 'kind', 'metadata'].includes(name)) continue;
    const own = properties[name];
    const at = path === '' ? name : `${path}.${name}`;
    if (isObject(own)) prune(child, own, dropped, at);
    else if (isObject(additional)) prune(child, additional, dropped, at);
    else if (additional !== true && !keeps) {
      delete value[name];
      dropped.push(at);
    }
  }
}

/** Fills in the defaults of the schema, in place; a null where null isn't allowed counts as missing. */
export function fillDefaults(value: Json | undefined, schema: JsonObject): void {
  if (Array.isArray(value)) {
    for (const item of value) fillDefaults(item, objectAt(schema, 'items'));
    return;
  }
  if (!isObject(value)) return;
  for (const [name, child] of Object.entries(objectAt(schema, 'properties'))) {
    if (!isObject(child)) continue;
    const missing = value[name] === undefined || (value[name] === null && child.nullable !== true);
    if (missing && child.default !== undefined) value[name] = structuredClone(child.default);
    fillDefaults(value[name], child);
  }
  const additional = schema.additionalProperties;
  if (!isObject(additional)) return;
  for (const child of Object.values(value)) fillDefaults(child, additional);
}

const COPIED = [
  'enum',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'multipleOf',
  'required',
];

/** A structural schema as the JSON Schema that checks it. */
export function toJsonSchema(schema: JsonObject): JsonObject {
  const made: JsonObject = {};
  for (const name of COPIED) if (schema[name] !== undefined) made[name] = schema[name];
  // OpenAPI v3 marks exclusive bounds by a flag.
  for (const [flag, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof made[flag] !== 'boolean') continue;
    const isExclusive = made[flag];
    delete made[flag];
    if (!isExclusive) continue;
    made[flag] = made[bound];
    delete made[bound];
  }
  const type = textAt(schema, 'type');
  // Nulls pass here: those that aren't allowed have been taken for missing before.
  if (schema['x-kubernetes-int-or-string'] === true) made.type = ['integer', 'string'];
  else if (type) made.type = [type, 'null'];
  const properties = Object.entries(objectAt(schema, 'properties'));
  if (properties.length > 0) {
    made.properties = Object.fromEntries(
      properties.map(([name, child]) => [name, toJsonSchema(child as JsonObject)]),
    );
  }
  if (isObject(schema.items)) made.items = toJsonSchema(schema.items);
  if (isObject(schema.additionalProperties))
    made.additionalProperties = toJsonSchema(schema.additionalProperties);
  for (const name of ['allOf', 'anyOf', 'oneOf']) {
    const list = schema[name];
    if (Array.isArray(list)) made[name] = list.filter(isObject).map(toJsonSchema);
  }
  if (isObject(schema.not)) made.not = toJsonSchema(schema.not);
  return made;
}
