import { type Json, type JsonObject, type KubeObject, listAt, objectAt, textAt, valueAt } from './json.ts';
import type { ResourceType } from './resources.ts';
import { badRequest, conflict, notFound } from './status.ts';
import { timestamp, type World } from './world.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: string | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly dryRun: boolean;
}

/** Delete options from the body and the query, as clients send them in either. @throws ApiError 400 */
export function readDeleteOptions(body: Json | undefined, query: URLSearchParams): DeleteOptions {
  const grace = valueAt(body, 'gracePeriodSeconds') ?? query.get('gracePeriodSeconds');
  const orphan = valueAt(body, 'orphanDependents') ?? query.get('orphanDependents');
  const propagation =
    textAt(body, 'propagationPolicy') ??
    query.get('propagationPolicy') ??
    (orphan === null || orphan === undefined
      ? undefined
      : String(orphan) === 'true'
        ? 'Orphan'
        : 'Background');
  if (propagation !== undefined && !['Background', 'Foreground', 'Orphan'].includes(propagation)) {
    throw badRequest(`invalid propagationPolicy: ${propagation}`);
  }
  return {
    gracePeriodSeconds: grace === null || grace === undefined ? undefined : Number(grace),
    propagation,
    uid: textAt(body, 'preconditions', 'uid'),
    resourceVersion: textAt(body, 'preconditions', 'resourceVersion'),
    dryRun: listAt(body, 'dryRun').includes('All') || query.get('dryRun') === 'All',
  };
}

export interface Removal {
  readonly object: KubeObject;
  /** False while a finalizer or a grace period holds the object. */
  readonly gone: boolean;
}

/** Deletes an object, or marks it as being deleted. @throws ApiError */
export function removeObject(
  world: World,
  type: ResourceType,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Removal {
  const before = world.store.get(type.storage, namespace, name);
  if (!before) throw notFound(type, name);
  checkPreconditions(type, before, options);
  const object = structuredClone(before);
  addPropagation(type, object, options);
  const grace = graceOf(type, object, options);
  const held =
    listAt(object, 'metadata', 'finalizers').length > 0 ||
    (type.kind === 'Namespace' && listAt(object, 'spec', 'finalizers').length > 0);
  if (grace === 0 && !held) {
    return { object: options.dryRun ? object : world.store.remove(type.storage, object), gone: true };
  }
  const already = before.metadata.deletionTimestamp !== undefined;
  const left = Number(before.metadata.deletionGracePeriodSeconds ?? 0);
  if (already && grace >= left) return { object: before, gone: false };
  mark(world, type, object, grace);
  return { object: options.dryRun ? object : world.store.put(type.storage, object), gone: false };
}

function checkPreconditions(type: ResourceType, before: KubeObject, options: DeleteOptions): void {
  const { uid, resourceVersion, name } = before.metadata;
  // Here, and only here, the real server names the kind.
  const named = { group: type.group, plural: type.kind };
  if (options.uid !== undefined && options.uid !== uid) {
    const why = `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
    throw conflict(named, name, why);
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    const why = `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`;
    throw conflict(named, name, why);
  }
}

function mark(world: World, type: ResourceType, object: KubeObject, grace: number): void {
  const { metadata } = object;
  const asked = metadata.deletionTimestamp === undefined ? world.clock.now().getTime() : undefined;
  if (asked !== undefined || grace > 0) {
    const at = world.clock.now().getTime() + grace * 1000;
    metadata.deletionTimestamp = timestamp({ clock: { ...world.clock, now: () => new Date(at) } });
  }
  metadata.deletionGracePeriodSeconds = grace;
  if (metadata.generation !== undefined) metadata.generation = Number(metadata.generation) + 1;
  if (type.kind === 'Namespace') object.status = { ...objectAt(object, 'status'), phase: 'Terminating' };
}

/** Only pods have a grace period: for the kubelet, so not before they have a node nor after they have ended. */
function graceOf(type: ResourceType, object: KubeObject, options: DeleteOptions): number {
  if (type.kind !== 'Pod' || type.group !== '') return 0;
  const phase = textAt(object, 'status', 'phase');
  if (!textAt(object, 'spec', 'nodeName') || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = Number(valueAt(object, 'spec', 'terminationGracePeriodSeconds') ?? 30);
  return Math.max(0, options.gracePeriodSeconds ?? own);
}

/** Foreground and Orphan are done by finalizers that the garbage collector takes away. */
function addPropagation(type: ResourceType, object: KubeObject, options: DeleteOptions): void {
  const policy =
    options.propagation ?? (type.group === 'batch' && type.kind === 'Job' ? 'Orphan' : 'Background');
  const others = listAt(object, 'metadata', 'finalizers').filter(
    (name) => name !== 'foregroundDeletion' && name !== 'orphan',
  );
  if (policy === 'Foreground') object.metadata.finalizers = [...others, 'foregroundDeletion'];
  if (policy === 'Orphan') object.metadata.finalizers = [...others, 'orphan'];
}

/** The answer of a delete that left nothing: a Status that names what is gone. */
export function deletedStatus(type: ResourceType, object: KubeObject): JsonObject {
  const { name, uid } = object.metadata;
  const details = { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.plural, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}
