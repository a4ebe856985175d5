import { isDeepStrictEqual } from 'node:util';

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json | undefined };

export type Metadata = JsonObject & {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
};

/** An object of the API as it is stored and sent. Objects in the store are never changed in place. */
export type KubeObject = JsonObject & { apiVersion: string; kind: string; metadata: Metadata };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is found by following field names; undefined as soon as one is missing. */
export function valueAt(value: Json | undefined, ...path: string[]): Json | undefined {
  let at = value;
  for (const name of path) at = isObject(at) ? at[name] : undefined;
  return at;
}

/** The object at the path; an empty one (not put in) where there is none. */
export function objectAt(value: Json | undefined, ...path: string[]): JsonObject {
  const found = valueAt(value, ...path);
  return isObject(found) ? found : {};
}

/** The object at the path, put in where there was none. */
export function ensureObject(value: JsonObject, ...path: string[]): JsonObject {
  let at = value;
  for (const name of path) {
    const next = at[name];
    if (isObject(next)) at = next;
    else {
      const made: JsonObject = {};
      at[name] = made;
      at = made;
    }
  }
  return at;
}

export function listAt(value: Json | undefined, ...path: string[]): Json[] {
  const found = valueAt(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The elements of a list that are objects. */
export function objectsAt(value: Json | undefined, ...path: string[]): JsonObject[] {
  return listAt(value, ...path).filter(isObject);
}

export function textAt(value: Json | undefined, ...path: string[]): string | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

export function textsAt(value: Json | undefined, ...path: string[]): string[] {
  return listAt(value, ...path).filter((item) => typeof item === 'string');
}

export function copy<T>(value: T): T {
  return structuredClone(value);
}

export function same(a: Json | undefined, b: Json | undefined): boolean {
  return isDeepStrictEqual(a, b);
}
