import { createObject, type WriteOptions } from './create.ts';
import { refuseDuplicates } from './duplicates.ts';
import {
  addAll,
  common,
  difference,
  emptySet,
  type FieldSet,
  fieldsOf,
  itemsOf,
  pathTexts,
  without,
} from './field-set.ts';
import { isObject, type Json, type JsonObject, type KubeObject, objectAt, textAt } from './json.ts';
import { takenOver } from './last-applied.ts';
import type { Shape } from './list-keys.ts';
import {
  isSameManager,
  type Manager,
  ownable,
  readManagers,
  shapeOf,
  withManagers,
} from './managed-fields.ts';
import type { Target } from './request.ts';
import { groupVersionOf } from './resources.ts';
import { ApiError, badRequest } from './status.ts';
import { updateObject } from './update.ts';
import { timestamp, type World } from './world.ts';

/** Server-side apply: merges a configuration, and owns exactly the fields that it names. @throws ApiError */
export function applyConfiguration(
  world: World,
  target: Target,
  before: KubeObject | undefined,
  configuration: JsonObject,
  force: boolean,
  options: WriteOptions,
): { object: KubeObject; created: boolean } {
  const { type, namespace, name } = target;
  if (objectAt(configuration, 'metadata').managedFields !== undefined) {
    throw badRequest('metadata.managedFields must be nil');
  }
  refuseDuplicates(target, configuration);
  const shape = shapeOf(type);
  const { manager, subresource } = options;
  const own = { manager, subresource, operation: 'Apply', apiVersion: groupVersionOf(type) };
  const wanted = fieldsOf(ownable(type, configuration, subresource), shape);
  wanted.member = false;
  if (wanted.children.get('f:metadata')?.member) wanted.children.delete('f:metadata');
  const known = readManagers(before);
  const last = known.find((entry) => isSameManager(entry, own))?.fields ?? emptySet();
  const live: JsonObject = before ?? {};
  const merged = merge(live, configuration, shape) as JsonObject;
  const changed = difference(
    ownable(type, live, subresource),
    ownable(type, merged, subresource),
    shape,
  ).changed;
  const others = known.filter((entry) => !isSameManager(entry, own));
  if (!force) refuseConflicts(others, without(changed, takenOver(type, live, manager)));
  const left = others.map((entry) => ({ ...entry, fields: without(entry.fields, changed) }));
  const owned = left.reduce((all, entry) => addAll(all, entry.fields), emptySet());
  const pruned = prune(merged, last, wanted, owned, shape, []) as JsonObject;
  const managers = [...left, { ...own, time: timestamp(world), fields: wanted }];
  const manage = (_before: KubeObject | undefined, after: KubeObject) => withManagers(after, managers);
  const body: JsonObject = { ...pruned, metadata: { ...objectAt(pruned, 'metadata'), name } };
  if (!before)
    return { object: createObject(world, type, namespace, body, { ...options, manage }), created: true };
  const object = updateObject(world, type, namespace, name, body, { ...options, manage });
  return { object, created: false };
}

/** The configuration over the live object: keyed lists item by item, sets joined, all else replaced. */
function merge(live: Json | undefined, wanted: Json | undefined, shape: Shape): Json | undefined {
  if (isObject(live) && isObject(wanted) && !shape.atomicObject) {
    const merged: JsonObject = { ...live };
    for (const [name, value] of Object.entries(wanted))
      merged[name] = merge(live[name], value, shape.child(name));
    return merged;
  }
  const items = Array.isArray(wanted) ? itemsOf(wanted, shape) : undefined;
  if (!items || !Array.isArray(live)) return structuredClone(wanted);
  const all = new Map((itemsOf(live, shape) ?? []).map((item) => [item.name, item.value]));
  for (const { name, value } of items) all.set(name, merge(all.get(name), value, shape.item) ?? value);
  return [...all.values()];
}

/** Takes away what the manager applied before, applies no longer, and nobody else owns. */
function prune(
  value: Json | undefined,
  last: FieldSet,
  wanted: FieldSet | undefined,
  owned: FieldSet | undefined,
  shape: Shape,
  keys: readonly string[],
): Json | undefined {
  const keeps = (name: string) => wanted?.children.has(name) || owned?.children.has(name);
  const below = (name: string, child: Json | undefined, at: Shape, itemKeys: readonly string[]) => {
    const set = last.children.get(name);
    if (!set) return child;
    if (!keeps(name) && set.member) return undefined;
    const rest = prune(child, set, wanted?.children.get(name), owned?.children.get(name), at, itemKeys);
    const isBare = isObject(rest) && Object.keys(rest).length === 0;
    return isBare && !keeps(name) ? undefined : rest;
  };
  if (isObject(value)) {
    const entries = Object.entries(value).map(([name, child]): [string, Json | undefined] => [
      name,
      keys.includes(name) ? child : below(`f:${name}`, child, shape.child(name), []),
    ]);
    return Object.fromEntries(entries.filter(([, child]) => child !== undefined));
  }
  const items = Array.isArray(value) ? itemsOf(value, shape) : undefined;
  if (!items) return value;
  const itemKeys = Array.isArray(shape.list) ? shape.list : [];
  return items
    .map((item) => below(item.name, item.value, shape.item, itemKeys))
    .filter((item) => item !== undefined);
}

/** @throws ApiError 409 that names every manager and field in the way */
function refuseConflicts(others: readonly Manager[], changed: FieldSet): void {
  const found = others
    .map((entry) => ({ shown: managerText(entry), fields: pathTexts(common(entry.fields, changed)) }))
    .filter(({ fields }) => fields.length > 0)
    .sort((a, b) => (a.shown < b.shown ? -1 : 1));
  const count = found.reduce((sum, { fields }) => sum + fields.length, 0);
  if (count === 0) return;
  const parts = found.map(({ shown, fields }) =>
    count === 1
      ? `conflict with ${shown}: ${fields[0]}`
      : `conflicts with ${shown}:\n${fields.map((field) => `- ${field}`).join('\n')}`,
  );
  const plural = count === 1 ? 'conflict' : 'conflicts';
  const causes = found.flatMap(({ shown, fields }) =>
    fields.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${shown}`, field })),
  );
  throw new ApiError(409, 'Conflict', `Apply failed with ${count} ${plural}: ${parts.join('\n')}`, {
    causes,
  });
}

function managerText(entry: Manager): string {
  const named = JSON.stringify(entry.manager);
  const through = entry.subresource === '' ? named : `${named} with subresource "${entry.subresource}"`;
  if (entry.operation === 'Apply') return through;
  return `${through} using ${entry.apiVersion}`;
}

/** What tells an apply from other patches. @throws ApiError 400, 422 */
export function checkApplyRequest(query: URLSearchParams, configuration: JsonObject): void {
  if (!query.get('fieldManager')) {
    const message =
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch';
    throw new ApiError(422, 'Invalid', message, {
      group: 'meta.k8s.io',
      kind: 'PatchOptions',
      causes: [
        {
          reason: 'FieldValueRequired',
          message: 'Required value: is required for apply patch',
          field: 'fieldManager',
        },
      ],
    });
  }
  if (!textAt(configuration, 'apiVersion') || !textAt(configuration, 'kind')) {
    throw badRequest(`invalid object type: /, Kind=${textAt(configuration, 'kind') ?? ''}`);
  }
}
