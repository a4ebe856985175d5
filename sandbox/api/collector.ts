import { type JsonObject, type KubeObject, objectsAt, textAt, textsAt } from './json.ts';
import type { DeleteOptions } from './remove.ts';
import { removeObject } from './remove.ts';
import type { ResourceType } from './resources.ts';
import type { Change } from './store.ts';
import type { World } from './world.ts';

const BACKGROUND: DeleteOptions = {
  gracePeriodSeconds: undefined,
  propagation: 'Background',
  uid: undefined,
  resourceVersion: undefined,
  dryRun: false,
};

/**
 * Collects garbage as a cluster's controllers do: what is owned by deleted objects, and what is in namespaces
 * that are being deleted. Everything happens shortly after the write that causes it.
 */
export function startCollector(world: World): void {
  world.store.listen((change) => {
    // A write must be over before its consequences begin.
    queueMicrotask(() => follow(world, change));
  });
}

function follow(world: World, change: Change): void {
  const { object, type } = change;
  if (type === 'DELETED') {
    for (const [kind, owned] of dependents(world, object)) {
      if (!hasLivingOwner(world, owned)) remove(world, kind, owned, BACKGROUND);
    }
    // The last object to go lets its namespace and its foreground owners go.
    for (const owner of ownersOf(world, object)) settle(world, owner);
    const namespace = world.store.get('/namespaces', '', object.metadata.namespace ?? '');
    if (namespace) settle(world, namespace);
  } else if (object.metadata.deletionTimestamp !== undefined) settle(world, object);
  else if (type === 'ADDED') removeOrphan(world, object);
}

/** Made by a controller that hadn't heard yet that the owner is gone. An owner of an unknown kind may be there for all we know. */
function removeOrphan(world: World, object: KubeObject): void {
  const references = objectsAt(object, 'metadata', 'ownerReferences');
  const type = typeOf(world, object);
  if (!type || references.length === 0 || hasLivingOwner(world, object)) return;
  if (references.every((reference) => kindOfOwner(world, reference))) remove(world, type, object, BACKGROUND);
}

/** Goes on with the deletion of a marked object as far as it can. */
function settle(world: World, object: KubeObject): void {
  const type = typeOf(world, object);
  if (!type || object.metadata.deletionTimestamp === undefined) return;
  if (type.kind === 'Namespace' && type.group === '') {
    emptyNamespace(world, type, object);
    return;
  }
  const finalizers = textsAt(object, 'metadata', 'finalizers');
  if (finalizers.includes('orphan')) {
    for (const [kind, owned] of dependents(world, object)) disown(world, kind, owned, object);
    release(world, type, object, 'orphan');
  }
  if (finalizers.includes('foregroundDeletion')) {
    const all = dependents(world, object);
    for (const [kind, owned] of all) {
      if (owned.metadata.deletionTimestamp === undefined) {
        remove(world, kind, owned, { ...BACKGROUND, propagation: 'Foreground' });
      }
    }
    const holding = all.filter(([, owned]) => blocks(owned, object));
    if (holding.every(([kind, owned]) => !current(world, kind, owned))) {
      release(world, type, object, 'foregroundDeletion');
    }
  }
}

function emptyNamespace(world: World, type: ResourceType, namespace: KubeObject): void {
  const { name } = namespace.metadata;
  let left = 0;
  const seen = new Set<string>();
  for (const kind of world.registry.all()) {
    if (!kind.namespaced || seen.has(kind.storage)) continue;
    seen.add(kind.storage);
    for (const object of world.store.list(kind.storage, name)) {
      if (object.metadata.deletionTimestamp === undefined) remove(world, kind, object, BACKGROUND);
      if (current(world, kind, object)) left += 1;
    }
  }
  const now = current(world, type, namespace);
  if (left > 0 || !now || textsAt(now, 'metadata', 'finalizers').length > 0) return;
  world.store.remove(type.storage, { ...now, spec: {} });
}

function remove(world: World, type: ResourceType, object: KubeObject, options: DeleteOptions): void {
  if (current(world, type, object)) {
    removeObject(world, type, object.metadata.namespace ?? '', object.metadata.name, options);
  }
}

function release(world: World, type: ResourceType, object: KubeObject, finalizer: string): void {
  const now = current(world, type, object);
  if (!now) return;
  const finalizers = textsAt(now, 'metadata', 'finalizers').filter((name) => name !== finalizer);
  const next = { ...now, metadata: { ...now.metadata, finalizers } };
  if (finalizers.length > 0) world.store.put(type.storage, next);
  else world.store.remove(type.storage, next);
}

function disown(world: World, type: ResourceType, object: KubeObject, owner: KubeObject): void {
  const ownerReferences = objectsAt(object, 'metadata', 'ownerReferences').filter(
    (reference) => reference.uid !== owner.metadata.uid,
  );
  const { ownerReferences: _all, ...metadata } = object.metadata;
  const next = ownerReferences.length > 0 ? { ...metadata, ownerReferences } : metadata;
  world.store.put(type.storage, { ...object, metadata: next as KubeObject['metadata'] });
}

/** The object as it is now, if it is still the same one. */
function current(world: World, type: ResourceType, object: KubeObject): KubeObject | undefined {
  const now = world.store.get(type.storage, object.metadata.namespace ?? '', object.metadata.name);
  return now?.metadata.uid === object.metadata.uid ? now : undefined;
}

function dependents(world: World, owner: KubeObject): [ResourceType, KubeObject][] {
  return world.store.storages().flatMap((storage) => {
    const type = world.registry.byStorage(storage);
    if (!type) return [];
    const owned = world.store.list(storage).filter((object) => references(object, owner));
    return owned.map((object): [ResourceType, KubeObject] => [type, object]);
  });
}

const references = (object: JsonObject, owner: KubeObject) =>
  objectsAt(object, 'metadata', 'ownerReferences').some((item) => item.uid === owner.metadata.uid);

const blocks = (object: JsonObject, owner: KubeObject) =>
  objectsAt(object, 'metadata', 'ownerReferences').some(
    (item) => item.uid === owner.metadata.uid && item.blockOwnerDeletion === true,
  );

function ownersOf(world: World, object: KubeObject): KubeObject[] {
  return objectsAt(object, 'metadata', 'ownerReferences').flatMap((reference) => {
    const found = ownerOf(world, object, reference);
    return found ? [found] : [];
  });
}

function hasLivingOwner(world: World, object: KubeObject): boolean {
  return ownersOf(world, object).length > 0;
}

function ownerOf(world: World, object: KubeObject, reference: JsonObject): KubeObject | undefined {
  const type = kindOfOwner(world, reference);
  if (!type) return undefined;
  const namespace = type.namespaced ? (object.metadata.namespace ?? '') : '';
  const found = world.store.get(type.storage, namespace, textAt(reference, 'name') ?? '');
  return found?.metadata.uid === reference.uid ? found : undefined;
}

function kindOfOwner(world: World, reference: JsonObject): ResourceType | undefined {
  const [group = '', version = ''] = (textAt(reference, 'apiVersion') ?? '').split(/\/(?=[^/]*$)/);
  return world.registry.byKind(
    version === '' ? '' : group,
    version || group,
    textAt(reference, 'kind') ?? '',
  );
}

function typeOf(world: World, object: KubeObject): ResourceType | undefined {
  const [group = '', version = ''] = object.apiVersion.split('/');
  return world.registry.byKind(version === '' ? '' : group, version || group, object.kind);
}
