import { closest } from '../../core/closest.ts';
import type { Path } from './problem.ts';

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

export interface UnknownField {
  readonly path: Path;
  readonly message: string;
}

/**
 * Fields of `document` that its JSON Schema doesn't know. Asked of the JSON Schema and not of zod, so
 * that a kind whose schema would silently drop them is checked as well.
 */
export function findUnknownFields(document: unknown, schema: object, path: Path = []): UnknownField[] {
  const branches = flatten(schema as JsonSchema);
  if (Array.isArray(document)) {
    const items = branches.map((branch) => branch.items).filter((item) => typeof item === 'object');
    if (items.length === 0) return [];
    return document.flatMap((value, index) => findUnknownFields(value, { anyOf: items }, [...path, index]));
  }
  if (typeof document !== 'object' || document === null) return [];
  const objects = branches.filter(({ properties }) => properties !== undefined);
  const open = branches.some(isOpen);
  const known = [...new Set(objects.flatMap(({ properties = {} }) => Object.keys(properties)))];
  return Object.entries(document).flatMap(([name, value]): UnknownField[] => {
    const within = objects.flatMap(({ properties = {} }) =>
      Object.hasOwn(properties, name) ? [properties[name] as JsonSchema] : [],
    );
    if (within.length > 0) return findUnknownFields(value, { anyOf: within }, [...path, name]);
    return open || objects.length === 0
      ? []
      : [{ path: [...path, name], message: unknownField(name, known) }];
  });
}

function unknownField(name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  if (meant) return `is not a known field; did you mean "${meant}"?`;
  return known.length === 0
    ? 'is not a known field; there are none here'
    : `is not a known field; known are ${known.join(', ')}`;
}

function isOpen(branch: JsonSchema): boolean {
  const { properties, additionalProperties } = branch;
  // zod's plain objects say nothing about other fields and drop them; only an explicit schema lets them in.
  if (additionalProperties === true || typeof additionalProperties === 'object') return true;
  return properties === undefined && Object.keys(branch).length === 0;
}

function flatten(schema: JsonSchema): JsonSchema[] {
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return inner.length === 0 ? [schema] : [...(schema.properties ? [schema] : []), ...inner.flatMap(flatten)];
}
