import { Environment, type ParseResult } from '@marcbachmann/cel-js';
import { isObject, type Json, type JsonObject, objectAt, objectsAt, same, textAt } from './json.ts';
import { type Cause, invalidValue } from './status.ts';

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true,
});
const parsed = new Map<string, ParseResult>();

/** @throws Error when the expression isn't CEL */
export function parseRule(rule: string): ParseResult {
  const known = parsed.get(rule);
  if (known) return known;
  const made = environment.parse(rule);
  parsed.set(rule, made);
  return made;
}

const isTransition = (rule: string) => /\boldSelf\b/.test(rule);

/** Which `x-kubernetes-validations` a value breaks, at every depth of its schema. */
export function ruleCauses(
  schema: JsonObject,
  value: Json | undefined,
  before: Json | undefined,
  path: string,
): Cause[] {
  if (value === undefined || value === null) return [];
  const causes = objectsAt(schema, 'x-kubernetes-validations').flatMap((rule) =>
    causeOf(schema, rule, value, before, path),
  );
  if (isObject(value)) {
    for (const [name, child] of Object.entries(value)) {
      const own = objectAt(schema, 'properties')[name] ?? schema.additionalProperties;
      if (!isObject(own)) continue;
      const old = isObject(before) ? before[name] : undefined;
      causes.push(...ruleCauses(own, child, old, path === '' ? name : `${path}.${name}`));
    }
  }
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      causes.push(...ruleCauses(objectAt(schema, 'items'), item, undefined, `${path}[${index}]`));
    });
  }
  return causes;
}

function causeOf(
  schema: JsonObject,
  rule: JsonObject,
  value: Json,
  before: Json | undefined,
  path: string,
): Cause[] {
  const text = textAt(rule, 'rule') ?? 'true';
  if (isTransition(text) && before === undefined && rule.optionalOldSelf !== true) return [];
  // What an update leaves as it was isn't judged again.
  if (!isTransition(text) && before !== undefined && same(value, before)) return [];
  const context = {
    self: typed(value, schema),
    oldSelf: before === undefined ? null : typed(before, schema),
  };
  const field = path + (textAt(rule, 'fieldPath') ?? '');
  try {
    if (parseRule(text)(context) === true) return [];
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'no reason';
    return [ruleCause(field, value, `rule evaluation error: ${why}`)];
  }
  const reason = textAt(rule, 'reason') ?? 'FieldValueInvalid';
  return [{ ...ruleCause(field, value, messageOf(rule, context)), reason }];
}

/** Objects and lists aren't shown in the message. */
function ruleCause(field: string, value: Json, why: string): Cause {
  if (typeof value !== 'object') return invalidValue(field, value, why);
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${why}`, field };
}

function messageOf(rule: JsonObject, context: object): string {
  const expression = textAt(rule, 'messageExpression');
  if (expression !== undefined) {
    try {
      const made = parseRule(expression)({ ...context });
      if (typeof made === 'string') return made;
    } catch {
      // A message that can't be made falls back to the fixed one.
    }
  }
  return textAt(rule, 'message') ?? `failed rule: ${(textAt(rule, 'rule') ?? '').trim()}`;
}

/** The value as CEL sees it: whole numbers as int, times as timestamps. */
function typed(value: Json | undefined, schema: JsonObject): unknown {
  if (typeof value === 'number') {
    const isWhole = textAt(schema, 'type') === 'integer' || schema['x-kubernetes-int-or-string'] === true;
    return isWhole && Number.isInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === 'string' && textAt(schema, 'format') === 'date-time') return new Date(value);
  if (Array.isArray(value)) return value.map((item) => typed(item, objectAt(schema, 'items')));
  if (!isObject(value)) return value;
  const properties = objectAt(schema, 'properties');
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => {
      const own = properties[name] ?? schema.additionalProperties;
      return [name, typed(child, isObject(own) ? own : {})];
    }),
  );
}
