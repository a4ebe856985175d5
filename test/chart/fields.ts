import * as client from '@kubernetes/client-node';
import type { Rendered } from './helm.ts';

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

/**
 * Fields of a built-in object that Kubernetes doesn't know, by the models of its JavaScript client, which are generated
 * from the API's own description. The sandbox keeps such fields; a real server drops or refuses them.
 * @returns paths; undefined when the kind has no model (custom resources)
 */
export function unknownFields(object: Rendered): readonly string[] | undefined {
  const group = object.apiVersion.split('/');
  const model = `${capitalised(group.at(-1) ?? '')}${object.kind}`;
  return attributesOf(model) ? within(object, model, '') : undefined;
}

function within(value: unknown, type: string, path: string): readonly string[] {
  const list = /^Array<(.+)>$/.exec(type)?.[1];
  if (list !== undefined && Array.isArray(value))
    return value.flatMap((item, index) => within(item, list, `${path}[${index}]`));
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (map !== undefined && isObject(value))
    return Object.entries(value).flatMap(([key, item]) => within(item, map, `${path}.${key}`));
  const attributes = attributesOf(type);
  if (!attributes) return [];
  if (!isObject(value)) return [`${path} is no ${type}`];
  return Object.entries(value).flatMap(([field, item]) => {
    const known = attributes.find(({ baseName }) => baseName === field);
    return known ? within(item, known.type, `${path}.${field}`) : [`${path}.${field}`];
  });
}

function attributesOf(model: string): readonly Attribute[] | undefined {
  const found = (client as unknown as Record<string, { attributeTypeMap?: readonly Attribute[] }>)[model];
  return found?.attributeTypeMap;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
