import type { CustomType } from './custom-type.ts';
import type { KubeObject } from './json.ts';
import type { Cause } from './status.ts';

/** Prunes, fills in and validates an object of a CRD; changes it in place. */
export function prepareCustom(
  _type: CustomType,
  _object: KubeObject,
  _before: KubeObject | undefined,
): Cause[] {
  return [];
}
