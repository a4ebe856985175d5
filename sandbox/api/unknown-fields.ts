import type { JsonObject, KubeObject } from './json.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import { ApiError, badRequest } from './status.ts';
import { prune } from './structural-schema.ts';

/** Top-level fields of the built-in kinds that are known field by field here. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  '/Secret': ['data', 'stringData', 'type', 'immutable'],
  '/ConfigMap': ['data', 'binaryData', 'immutable'],
};

const EVERYWHERE = ['apiVersion', 'kind', 'metadata'];

/** How a request came, which decides the words of a refusal. */
export type Via = 'body' | 'patch' | 'apply';

/**
 * Takes out of an object what its type doesn't know, in place.
 * @throws ApiError when that is asked for (`fieldValidation=Strict`), and always for an applied configuration
 *   of a custom resource
 */
export function dropUnknown(type: ResourceType, object: KubeObject, isStrict: boolean, via: Via): void {
  const unknown = via === 'apply' && !type.custom ? [] : unknownIn(type, object);
  if (unknown.length === 0) return;
  const { name, namespace = '' } = object.metadata;
  if (via === 'apply') {
    const list = unknown.map((field) => `.${field}: field not declared in schema`).join('\n');
    const what = `(${namespace}/${name}; ${groupVersionOf(type)}, Kind=${type.kind})`;
    throw new ApiError(500, '', `failed to create typed patch object ${what}: ${list}`);
  }
  if (!isStrict) return;
  const list = unknown.map((field) => `unknown field ${JSON.stringify(field)}`).join(', ');
  const why = `strict decoding error: ${list}`;
  if (via === 'body') {
    throw badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${why}`);
  }
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${why}`;
  throw new ApiError(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
    causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
  });
}

function unknownIn(type: ResourceType, object: JsonObject): string[] {
  const dropped: string[] = [];
  if (type.custom) prune(object, type.custom.schema, dropped);
  const fields = FIELDS[`${type.group}/${type.kind}`];
  if (!fields) return dropped;
  for (const name of Object.keys(object)) {
    if (fields.includes(name) || EVERYWHERE.includes(name)) continue;
    delete object[name];
    dropped.push(name);
  }
  return dropped;
}
