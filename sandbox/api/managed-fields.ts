import {
  addAll,
  difference,
  emptySet,
  type FieldSet,
  isEmpty,
  readFields,
  without,
  writeFields,
} from './field-set.ts';
import { isObject, type Json, type JsonObject, type KubeObject, objectsAt, textAt } from './json.ts';
import { builtInShape, type Shape, schemaShape } from './list-keys.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import { timestamp, type World } from './world.ts';

/** Who wrote, and through which subresource. */
export interface Writer {
  readonly manager: string;
  readonly subresource: string;
}

/** One entry of managedFields with its fields read. */
export interface Manager {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

export function shapeOf(type: ResourceType): Shape {
  return type.custom ? schemaShape(type.custom.schema) : builtInShape();
}

/** Metadata that the server writes and nobody owns. */
const UNOWNED = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];

/** The part of an object that managers own through this subresource. */
export function ownable(type: ResourceType, object: JsonObject, subresource: string): JsonObject {
  const { apiVersion: _version, kind: _kind, metadata, status, ...rest } = object;
  if (subresource === 'status') return status === undefined ? {} : { status };
  const kept = Object.entries(isObject(metadata) ? metadata : {}).filter(([name]) => !UNOWNED.includes(name));
  return {
    ...rest,
    metadata: Object.fromEntries(kept),
    ...(status === undefined || type.subresources.includes('status') ? {} : { status }),
  };
}

export function readManagers(object: KubeObject | undefined): Manager[] {
  return objectsAt(object, 'metadata', 'managedFields')
    .filter((entry) => textAt(entry, 'operation') !== undefined)
    .map((entry) => ({
      manager: textAt(entry, 'manager') ?? '',
      operation: textAt(entry, 'operation') ?? '',
      apiVersion: textAt(entry, 'apiVersion') ?? '',
      subresource: textAt(entry, 'subresource') ?? '',
      time: textAt(entry, 'time'),
      fields: readFields(entry.fieldsV1),
    }));
}

export function isSameManager(a: Omit<Manager, 'time' | 'fields'>, b: typeof a): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** The object with these managers written into its metadata, in the real server's order. */
export function withManagers(object: KubeObject, managers: readonly Manager[]): KubeObject {
  const entries = managers
    .filter(({ fields }) => !isEmpty(fields))
    .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
    .map(
      (entry): JsonObject => ({
        manager: entry.manager,
        operation: entry.operation,
        apiVersion: entry.apiVersion,
        ...(entry.time === undefined ? {} : { time: entry.time }),
        fieldsType: 'FieldsV1',
        fieldsV1: writeFields(entry.fields),
        ...(entry.subresource === '' ? {} : { subresource: entry.subresource }),
      }),
    );
  const { managedFields: _old, ...metadata } = object.metadata;
  const written = entries.length > 0 ? { ...metadata, managedFields: entries } : metadata;
  return { ...object, metadata: written as KubeObject['metadata'] };
}

const orderOf = (entry: Manager) => [entry.operation, entry.time, entry.manager, entry.subresource].join(' ');

/** The object with the writer recorded for every field that it changed. */
export function trackUpdate(
  world: World,
  type: ResourceType,
  before: KubeObject | undefined,
  after: KubeObject,
  writer: Writer,
): KubeObject {
  // A client that leaves managedFields out keeps them; one that sends an empty entry clears them.
  const known = after.metadata.managedFields === undefined ? readManagers(before) : readManagers(after);
  const now = ownable(type, after, writer.subresource);
  const then = before ? ownable(type, before, writer.subresource) : skeleton(now, type.custom !== undefined);
  const { changed, removed } = difference(then, now, shapeOf(type));
  if (isEmpty(changed) && isEmpty(removed)) return withManagers(after, known);
  const { manager, subresource } = writer;
  const own = { manager, subresource, operation: 'Update', apiVersion: groupVersionOf(type) };
  const others = known
    .filter((entry) => !isSameManager(entry, own))
    .map((entry) => ({ ...entry, fields: without(without(entry.fields, changed), removed) }));
  const held = known.find((entry) => isSameManager(entry, own))?.fields ?? emptySet();
  const fields = without(addAll(held, changed), removed);
  // The root is no field.
  fields.member = false;
  // The scale subresource leaves the time out, as the real server does.
  const time = subresource === 'scale' ? undefined : timestamp(world);
  return withManagers(after, [...others, { ...own, time, fields }]);
}

const ALWAYS_THERE = [
  'metadata',
  'spec',
  'names',
  'status',
  'acceptedNames',
  'strategy',
  'updateStrategy',
  'template',
  'jobTemplate',
];

/** What the server itself adds at creation belongs to nobody. */
const SERVER_MADE = [
  'priority',
  'preemptionPolicy',
  'tolerations',
  'clusterIP',
  'clusterIPs',
  'ipFamilies',
  'ipFamilyPolicy',
];

/** What even an empty object of a built-in type has: parts that a creation therefore doesn't add. */
function skeleton(object: JsonObject, custom: boolean): JsonObject {
  if (custom) return { metadata: {} };
  const bare: JsonObject = {};
  for (const [name, value] of Object.entries(object)) {
    if (isObject(value) && ALWAYS_THERE.includes(name)) bare[name] = skeleton(value, false);
    if (name === 'containers') bare[name] = [] as Json[];
    if (SERVER_MADE.includes(name)) bare[name] = value;
  }
  return bare;
}
