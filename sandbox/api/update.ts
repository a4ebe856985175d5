import { toStored } from './convert.ts';
import type { WriteOptions } from './create.ts';
import { prepareCustom } from './custom-objects.ts';
import { type JsonObject, type KubeObject, listAt, objectAt, same, textAt } from './json.ts';
import { trackUpdate } from './managed-fields.ts';
import { addressed, withoutBookkeeping } from './metadata.ts';
import type { ResourceType } from './resources.ts';
import { type Cause, conflict, forbiddenField, invalid, invalidValue, notFound, STALE } from './status.ts';
import { strategyOf } from './strategy.ts';
import { tidy } from './tidy.ts';
import { dropUnknown } from './unknown-fields.ts';
import { validateMetadata } from './validate-metadata.ts';
import type { World } from './world.ts';

/** What the server keeps whatever a client sends. */
const KEPT = [
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'generateName',
];

/** Replaces an object, or with a subresource only that part of it. @throws ApiError */
export function updateObject(
  world: World,
  type: ResourceType,
  namespace: string,
  name: string,
  body: JsonObject,
  options: WriteOptions,
): KubeObject {
  const sent = toStored(type, structuredClone(addressed(type, namespace, name, body)));
  const before = world.store.get(type.storage, namespace, name);
  if (!before) throw notFound(type, name);
  dropUnknown(type, sent, options.strict === true, options.via ?? 'body');
  checkPreconditions(type, before, sent);
  const object = options.subresource === 'status' ? statusOnly(before, sent) : mainOnly(type, before, sent);
  for (const field of KEPT) object.metadata[field] = before.metadata[field];
  for (const field of KEPT) if (object.metadata[field] === undefined) delete object.metadata[field];
  object.metadata.uid = before.metadata.uid;
  object.metadata.resourceVersion = before.metadata.resourceVersion;

  const strategy = strategyOf(type);
  const causes: Cause[] = validateMetadata(type, object);
  causes.push(...finalizerCauses(before, object));
  if (type.custom) causes.push(...prepareCustom(type.custom, object, before));
  if (options.subresource === '') strategy.updated?.(object, before);
  strategy.defaults?.(object);
  if (!type.custom) tidy(object);
  if (options.subresource !== 'status') {
    causes.push(...(strategy.validate?.(object) ?? []));
    causes.push(...(strategy.validateUpdate?.(object, before) ?? []));
  }
  if (causes.length > 0) throw invalid(type, name, causes);
  if (type.generation && options.subresource !== 'status') {
    const ignoreStatus = type.subresources.includes('status');
    const changed = !same(withoutBookkeeping(before, ignoreStatus), withoutBookkeeping(object, ignoreStatus));
    // Annotations of a Deployment count, since controllers copy them to its ReplicaSets.
    const annotated = type.kind === 'Deployment' && !same(annotationsOf(before), annotationsOf(object));
    if (changed || annotated) object.metadata.generation = Number(before.metadata.generation ?? 0) + 1;
  }
  const managed = options.manage
    ? options.manage(before, object)
    : trackUpdate(world, type, before, object, options);
  if (unchanged(before, managed)) return before;
  if (options.dryRun) return managed;
  return isDone(managed) ? world.store.remove(type.storage, managed) : world.store.put(type.storage, managed);
}

function annotationsOf(object: KubeObject): JsonObject {
  return objectAt(object, 'metadata', 'annotations');
}

/** Whether a marked object has nothing left that holds it: its last finalizer went with this write. */
function isDone(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
  if (deletionTimestamp === undefined || listAt(object, 'metadata', 'finalizers').length > 0) return false;
  return Number(deletionGracePeriodSeconds ?? 0) === 0 && listAt(object, 'spec', 'finalizers').length === 0;
}

function checkPreconditions(type: ResourceType, before: KubeObject, sent: KubeObject): void {
  const version = textAt(sent, 'metadata', 'resourceVersion') ?? '';
  const uid = textAt(sent, 'metadata', 'uid') ?? '';
  const { name } = before.metadata;
  if (version === '' && (type.custom || type.kind === 'Lease')) {
    throw invalid({ group: type.group, kind: type.plural }, name, [
      invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  if (uid !== '' && uid !== before.metadata.uid) {
    const key = ['/registry', type.plural, before.metadata.namespace, name].filter(Boolean).join('/');
    const why = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`;
    throw conflict(type, name, why);
  }
  if (version !== '' && version !== before.metadata.resourceVersion) throw conflict(type, name, STALE);
}

function statusOnly(before: KubeObject, sent: KubeObject): KubeObject {
  const object = structuredClone(before);
  if (sent.status === undefined) delete object.status;
  else object.status = sent.status;
  if (sent.metadata.managedFields !== undefined) object.metadata.managedFields = sent.metadata.managedFields;
  return object;
}

function mainOnly(type: ResourceType, before: KubeObject, sent: KubeObject): KubeObject {
  if (!type.subresources.includes('status')) return sent;
  const { status: _status, ...rest } = sent;
  return before.status === undefined
    ? (rest as KubeObject)
    : ({ ...rest, status: structuredClone(before.status) } as KubeObject);
}

/** Nothing new may hold an object that is already being deleted. */
function finalizerCauses(before: KubeObject, object: KubeObject): Cause[] {
  if (before.metadata.deletionTimestamp === undefined) return [];
  const held = listAt(before, 'metadata', 'finalizers');
  const added = listAt(object, 'metadata', 'finalizers').filter((item) => !held.includes(item));
  if (added.length === 0) return [];
  const list = added.map((item) => JSON.stringify(item)).join(', ');
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  return [forbiddenField('metadata.finalizers', why)];
}

/** A write that changes nothing but the times of managedFields is no write. */
function unchanged(before: KubeObject, after: KubeObject): boolean {
  return same(timeless(before), timeless(after));
}

function timeless(object: KubeObject): JsonObject {
  const managedFields = listAt(object, 'metadata', 'managedFields').map((entry) => {
    const { time: _time, ...rest } = entry as JsonObject;
    return rest;
  });
  return { ...object, metadata: { ...object.metadata, managedFields } };
}
