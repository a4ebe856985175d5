import { type Branch, exactlyOne, marked, tagged } from './structural-rules.ts';

/** JSON Schema (2020-12) as zod writes it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | boolean;
  readonly prefixItems?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** A CEL rule of a custom resource's schema. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueRequired' | 'FieldValueForbidden';
  readonly fieldPath?: string;
}

/** OpenAPI v3 schema as a CustomResourceDefinition takes it. */
export interface Structural {
  [keyword: string]: unknown;
  type?: string;
  properties?: Record<string, Structural>;
  required?: readonly string[];
  items?: Structural;
  additionalProperties?: Structural;
  'x-kubernetes-validations'?: readonly Rule[];
}

const COPIED = [
  'type',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'required',
] as const;

/** `core/duration-schema.ts` writes this; rules that compare durations need an end of their text. */
const DURATION = '^(\\d+(ms|s|m|h|d|w))+$';
const LONGEST_DURATION = 64;
/** The cost of a rule is counted for as many items as a list may have; an endless one may have no rules. */
const MOST_RULED_ITEMS = 100;

/**
 * A JSON Schema as a structural schema (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema):
 * one type for every field, so alternatives are merged and told apart by CEL rules. No default is taken over, since the API
 * server would write it into the object for good, and a later version may have another one; descriptions name it.
 * Fields that aren't known need no word: the API server prunes them, and refuses them where the client asks for it.
 * What has no structural form is left open here, and to the manifest's own schema.
 */
export function structural(schema: JsonSchema): Structural {
  const alternatives = schema.anyOf ?? (schema.properties ? undefined : schema.oneOf);
  if (alternatives) return described(schema, merged(alternatives));
  const made: Structural = {};
  for (const name of COPIED) if (schema[name] !== undefined) Object.assign(made, { [name]: schema[name] });
  if (schema.const !== undefined) made.enum = [schema.const];
  for (const [bound, flag] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (schema[flag] !== undefined) Object.assign(made, { [bound]: schema[flag], [flag]: true });
  }
  if (typeof schema.pattern === 'string') {
    // RE2, by which the API server matches, knows no lookaround.
    if (!/\(\?[=!<]/.test(schema.pattern)) made.pattern = schema.pattern;
    if (schema.pattern === DURATION) made.maxLength ??= LONGEST_DURATION;
  }
  if (schema.type === 'array') {
    made.items = itemsOf(schema);
    if (hasRules(made.items)) made.maxItems ??= MOST_RULED_ITEMS;
  }
  if (schema.properties) {
    made.properties = mapValues(schema.properties, structural);
  } else if (typeof schema.additionalProperties === 'object') {
    made.additionalProperties = structural(schema.additionalProperties);
  }
  if (schema.type === undefined) made['x-kubernetes-preserve-unknown-fields'] = true;
  // A keyed union: `oneOf: [{required: [a]}, {required: [b]}]`.
  if (schema.oneOf) addRules(made, [exactlyOne(schema.oneOf.map(({ required = [] }) => required[0] ?? ''))]);
  return described(schema, made);
}

function itemsOf(schema: JsonSchema): Structural {
  const rest = typeof schema.items === 'object' ? [schema.items] : [];
  const all = [...(schema.prefixItems ?? []), ...rest];
  const [first] = all;
  if (!first) return { 'x-kubernetes-preserve-unknown-fields': true };
  const same = all.every((each) => JSON.stringify(each) === JSON.stringify(first));
  return same ? structural(first) : merged(all);
}

function merged(schemas: readonly JsonSchema[]): Structural {
  const types = new Set(schemas.map(({ type }) => type));
  if (types.size === 2 && types.has('string') && types.has('integer')) {
    return { 'x-kubernetes-int-or-string': true };
  }
  const [type] = types;
  if (types.size > 1 || type === undefined) return { 'x-kubernetes-preserve-unknown-fields': true };
  if (type === 'array') return { type, items: { 'x-kubernetes-preserve-unknown-fields': true } };
  if (type !== 'object') return { type };
  const names = [...new Set(schemas.flatMap(({ properties = {} }) => Object.keys(properties)))];
  const properties = Object.fromEntries(
    names.map((name) => [
      name,
      mergedField(
        schemas.flatMap((each): JsonSchema[] => {
          const field = each.properties?.[name];
          return field ? [field] : [];
        }),
      ),
    ]),
  );
  const branches = schemas.map(
    (schema): Branch => ({
      required: schema.required ?? [],
      names: Object.keys(schema.properties ?? {}),
      fixed: mapValues(schema.properties ?? {}, (field) => field.const),
    }),
  );
  const made: Structural = { type: 'object', properties };
  const always = names.filter((name) => branches.every(({ required }) => required.includes(name)));
  if (always.length > 0) made.required = always;
  // Alternatives that no field tells apart are left to the manifest's own schema.
  addRules(made, tagged(branches, always) ?? marked(branches, always) ?? []);
  return made;
}

function mergedField(fields: readonly JsonSchema[]): Structural {
  const [first = {}] = fields;
  if (fields.every((each) => JSON.stringify(each) === JSON.stringify(first))) return structural(first);
  if (fields.every(({ const: fixed }) => fixed !== undefined)) {
    return described(first, { type: first.type as string, enum: fields.map(({ const: fixed }) => fixed) });
  }
  return merged(fields);
}

/** Adds rules to those that `schema` has. */
export function addRules(schema: Structural, rules: readonly Rule[]): void {
  if (rules.length === 0) return;
  schema['x-kubernetes-validations'] = [...(schema['x-kubernetes-validations'] ?? []), ...rules];
}

function hasRules(schema: Structural): boolean {
  const { items, additionalProperties, properties = {} } = schema;
  const inner = [items, additionalProperties, ...Object.values(properties)];
  return (
    schema['x-kubernetes-validations'] !== undefined ||
    inner.some((each) => each !== undefined && hasRules(each))
  );
}

function described(schema: JsonSchema, made: Structural): Structural {
  const { description, default: value } = schema;
  const scalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  const standard = scalar && value !== '' ? `Default: ${value}` : undefined;
  const text = [description, standard].filter((part) => part !== undefined).join('. ');
  return text === '' ? made : { description: text, ...made };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
