import type { JsonObject } from './json.ts';

/** What a CRD's version says about its objects beyond their names. */
export interface CustomType {
  /** The structural schema, or undefined where the version has none. */
  readonly schema: JsonObject;
  readonly columns: readonly JsonObject[];
  /** JSON paths of the scale subresource, where there is one. */
  readonly scale: JsonObject | undefined;
}
