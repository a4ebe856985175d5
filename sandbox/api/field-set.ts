import { isObject, type Json, type JsonObject, same } from './json.ts';
import { itemKey, type Shape } from './list-keys.ts';

/** A set of paths in an object, as a tree under the element names of FieldsV1 (`f:data`, `k:{"name":"x"}`, `v:1`). */
export interface FieldSet {
  /** Whether the path to here is in the set itself, besides what is below it. */
  member: boolean;
  readonly children: Map<string, FieldSet>;
}

export function emptySet(member = false): FieldSet {
  return { member, children: new Map() };
}

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

/** Reads the `fieldsV1` of a managedFields entry. */
export function readFields(fields: Json | undefined): FieldSet {
  const set = emptySet();
  if (!isObject(fields)) return set;
  const names = Object.keys(fields);
  set.member = names.length === 0 || names.includes('.');
  for (const name of names) if (name !== '.') set.children.set(name, readFields(fields[name]));
  return set;
}

export function writeFields(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  if (set.member && set.children.size > 0) fields['.'] = {};
  for (const name of [...set.children.keys()].sort()) {
    const child = set.children.get(name);
    if (child) fields[name] = writeFields(child);
  }
  return fields;
}

/** Adds all paths of the second set to the first. */
export function addAll(set: FieldSet, more: FieldSet): FieldSet {
  set.member ||= more.member;
  for (const [name, child] of more.children) {
    const own = set.children.get(name) ?? emptySet();
    set.children.set(name, addAll(own, child));
  }
  return set;
}

/** The paths of the first set that are not in the second. */
export function without(set: FieldSet, less: FieldSet | undefined): FieldSet {
  const left = emptySet(set.member && !less?.member);
  for (const [name, child] of set.children) {
    const rest = without(child, less?.children.get(name));
    if (!isEmpty(rest)) left.children.set(name, rest);
  }
  return left;
}

export function common(a: FieldSet, b: FieldSet | undefined): FieldSet {
  const both = emptySet(a.member && b?.member === true);
  if (!b) return both;
  for (const [name, child] of a.children) {
    const part = common(child, b.children.get(name));
    if (!isEmpty(part)) both.children.set(name, part);
  }
  return both;
}

/** The paths of a set as messages show them: `.data.password`, `.spec.containers[name="app"].image`. */
export function pathTexts(set: FieldSet, prefix = ''): string[] {
  const own = set.member && prefix !== '' ? [prefix] : [];
  const below = [...set.children].flatMap(([name, child]) => pathTexts(child, prefix + elementText(name)));
  return [...own, ...below];
}

function elementText(name: string): string {
  const rest = name.slice(2);
  if (name.startsWith('f:')) return `.${rest}`;
  if (name.startsWith('v:')) return `[=${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as JsonObject);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}

export interface ListItem {
  readonly name: string;
  readonly value: Json;
}

/** The items of a list that is merged item by item; undefined for lists taken as a whole. */
export function itemsOf(list: Json[], shape: Shape): ListItem[] | undefined {
  const { list: kind } = shape;
  if (kind === 'atomic') return undefined;
  return list.map((value) => ({
    name: kind === 'set' ? `v:${JSON.stringify(value)}` : `k:${itemKey(kind, value, shape.keyDefaults)}`,
    value,
  }));
}

/** Every path that a value sets: what an applied configuration owns. */
export function fieldsOf(value: Json | undefined, shape: Shape): FieldSet {
  if (isObject(value) && !shape.atomicObject && Object.keys(value).length > 0) {
    const set = emptySet();
    for (const [name, child] of Object.entries(value)) {
      if (child !== undefined) set.children.set(`f:${name}`, fieldsOf(child, shape.child(name)));
    }
    return set;
  }
  const items = Array.isArray(value) && value.length > 0 ? itemsOf(value, shape) : undefined;
  if (!items) return emptySet(true);
  const set = emptySet();
  for (const item of items) {
    const below = isObject(item.value) ? fieldsOf(item.value, shape.item) : emptySet();
    set.children.set(item.name, addAll(emptySet(true), below));
  }
  return set;
}

export interface Difference {
  /** Added and modified paths. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

/** Which paths differ between two states; a path that one of them lacks comes with all that is below it. */
export function difference(before: Json | undefined, after: Json | undefined, shape: Shape): Difference {
  const changed = emptySet();
  const removed = emptySet();
  const result = { changed, removed };
  if (same(before, after)) return result;
  const parts = childrenOf(before, after, shape);
  if (!parts) {
    if (after === undefined) removed.member = true;
    else changed.member = true;
    return result;
  }
  if (before === undefined) changed.member = true;
  if (after === undefined) removed.member = true;
  for (const [name, [old, now, below]] of parts) {
    const part = difference(old, now, below);
    if (!isEmpty(part.changed)) changed.children.set(name, part.changed);
    if (!isEmpty(part.removed)) removed.children.set(name, part.removed);
  }
  return result;
}

type Parts = Map<string, [before: Json | undefined, after: Json | undefined, shape: Shape]>;

function childrenOf(before: Json | undefined, after: Json | undefined, shape: Shape): Parts | undefined {
  const parts: Parts = new Map();
  const states = [before, after].filter((state) => state !== undefined);
  if (states.every(isObject) && !shape.atomicObject) {
    const names = new Set(states.flatMap((state) => Object.keys(state)));
    for (const name of names) {
      const at = (state: Json | undefined) => (isObject(state) ? state[name] : undefined);
      parts.set(`f:${name}`, [at(before), at(after), shape.child(name)]);
    }
    return parts;
  }
  if (!states.every(Array.isArray) || shape.list === 'atomic') return undefined;
  const read = (state: Json | undefined) =>
    new Map(
      (Array.isArray(state) ? (itemsOf(state, shape) ?? []) : []).map((item) => [item.name, item.value]),
    );
  const [old, now] = [read(before), read(after)];
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    parts.set(name, [old.get(name), now.get(name), shape.item]);
  }
  return parts;
}
