import { ruleCauses } from './cel-rules.ts';
import type { CustomType } from './custom-type.ts';
import { duplicateCauses } from './duplicates.ts';
import { isObject, type JsonObject, type KubeObject } from './json.ts';
import { schemaCauses } from './schema-causes.ts';
import type { Cause } from './status.ts';
import { fillDefaults } from './structural-schema.ts';

/** Fills in and validates an object of a CRD; changes it in place. */
export function prepareCustom(type: CustomType, object: KubeObject, before: KubeObject | undefined): Cause[] {
  fillDefaults(object, type.schema);
  const causes = [...schemaCauses(type.schema, content(object)), ...duplicateCauses(type, object)];
  if (causes.length > 0) return hasRules(type.schema) ? [...causes, UNCHECKED] : causes;
  return ruleCauses(type.schema, content(object), before && content(before), '');
}

const UNCHECKED: Cause = {
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  field: '<nil>',
};

function hasRules(schema: JsonObject): boolean {
  if (schema['x-kubernetes-validations'] !== undefined) return true;
  return Object.values(schema).some((child) => isObject(child) && hasRules(child));
}

/** Metadata is checked elsewhere, whatever the schema says of it; rules may look at the names in it. */
function content(object: KubeObject): JsonObject {
  const { name, generateName } = object.metadata;
  return { ...object, metadata: { name, ...(generateName === undefined ? {} : { generateName }) } };
}
