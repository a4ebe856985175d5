import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type Json, type JsonObject, valueAt } from './json.ts';
import { type Cause, invalidValue, required, unsupported } from './status.ts';
import { toJsonSchema } from './structural-schema.ts';

const compiled = new WeakMap<JsonObject, ValidateFunction>();

function validatorOf(schema: JsonObject): ValidateFunction {
  const known = compiled.get(schema);
  if (known) return known;
  const ajv = new Ajv({ allErrors: true, strict: false, verbose: true, validateFormats: false });
  const made = ajv.compile(toJsonSchema(schema));
  compiled.set(schema, made);
  return made;
}

/** Where a value breaks its schema, in the API's words. */
export function schemaCauses(schema: JsonObject, value: JsonObject): Cause[] {
  const validate = validatorOf(schema);
  if (validate(value)) return [];
  const causes = (validate.errors ?? []).flatMap((error) => causeOf(error, value));
  // One text is judged once.
  return causes.filter((cause, at) => causes.findIndex((other) => other.field === cause.field) === at);
}

function causeOf(error: ErrorObject, root: JsonObject): Cause[] {
  const field = fieldOf(error.instancePath, root);
  const { keyword, params, data } = error;
  const body = `${field} in body`;
  const shown = data as Json;
  switch (keyword) {
    case 'required': {
      const name = String(params.missingProperty);
      return [required(field === '' ? name : `${field}.${name}`)];
    }
    case 'type': {
      const name = typeName(shown);
      const types: string[] = Array.isArray(params.type) ? params.type : [params.type];
      const type = types.filter((one) => one !== 'null').join(',');
      const cause = invalidValue(field, name, `${body} must be of type ${type}: "${name}"`);
      return [{ ...cause, reason: 'FieldValueTypeInvalid' }];
    }
    case 'enum':
      return [unsupported(field, shown, params.allowedValues.map(String))];
    case 'pattern':
      return [invalidValue(field, shown, `${body} should match '${params.pattern}'`)];
    case 'minimum':
      return [invalidValue(field, shown, `${body} should be greater than or equal to ${params.limit}`)];
    case 'maximum':
      return [invalidValue(field, shown, `${body} should be less than or equal to ${params.limit}`)];
    case 'minLength':
      return [invalidValue(field, shown, `${body} should be at least ${params.limit} chars long`)];
    case 'maxLength':
      return [
        {
          reason: 'FieldValueTooLong',
          message: `Too long: may not be more than ${params.limit} bytes`,
          field,
        },
      ];
    case 'minItems':
      return [
        invalidValue(field, (shown as Json[]).length, `${body} should have at least ${params.limit} items`),
      ];
    case 'maxItems': {
      const message = `Too many: ${(shown as Json[]).length}: must have at most ${params.limit} items`;
      return [{ reason: 'FieldValueTooMany', message, field }];
    }
    default:
      return [invalidValue(field, shown, `${body} ${error.message ?? 'is not valid'}`)];
  }
}

function typeName(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** `/spec/steps/0/name` as `spec.steps[0].name`. */
function fieldOf(pointer: string, root: JsonObject): string {
  let at: Json | undefined = root;
  let text = '';
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) {
      text += `[${name}]`;
      at = at[Number(name)];
    } else {
      text += text === '' ? name : `.${name}`;
      at = valueAt(at, name);
    }
  }
  return text;
}
