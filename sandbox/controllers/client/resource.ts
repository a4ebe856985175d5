import type { Api } from './api.ts';
import { ignoring } from './api.ts';
import { type CacheOptions, watchKind } from './cache.ts';
import type { Kind } from './kinds.ts';
import { keyOf, type ObjectStore } from './object-store.ts';
import type { Draft, Stored } from './wire.ts';

/**
 * A kind's cache together with the writes to it. What a write answers goes into the cache at once, so that
 * the next decision doesn't make or remove the same object twice.
 */
export interface Resource<T extends Stored> {
  readonly kind: Kind<T>;
  readonly cache: ObjectStore<T>;
  create(draft: Draft<T>): Promise<T>;
  update(object: T): Promise<T>;
  updateStatus(object: T): Promise<T>;
  /** Gone already, or replaced by another of the same name: counts as done. */
  remove(object: T): Promise<void>;
}

/** Opens a kind: resolves when its cache is filled. */
export async function openResource<T extends Stored>(
  api: Api,
  kind: Kind<T>,
  options: CacheOptions,
): Promise<Resource<T>> {
  const cache = await watchKind(api, kind, options);
  const observed = async (write: Promise<T>): Promise<T> => {
    const object = await write;
    cache.observe(object);
    return object;
  };
  return {
    kind,
    cache,
    create: (draft) => observed(api.create(kind, draft)),
    update: (object) => observed(api.update(kind, object)),
    updateStatus: (object) => observed(api.updateStatus(kind, object)),
    remove: (object) => ignoring([404, 409], removeObserved(api, kind, cache, object)),
  };
}

async function removeObserved<T extends Stored>(
  api: Api,
  kind: Kind<T>,
  cache: ObjectStore<T>,
  object: T,
): Promise<void> {
  const answer = await api.delete(kind, object.metadata, { uid: object.metadata.uid });
  const left = answer as T;
  const lingers = left.metadata?.uid !== undefined && (left.metadata.deletionGracePeriodSeconds ?? 0) > 0;
  if (lingers) cache.observe(left);
  else if (cache.byKey(keyOf(object))?.metadata.uid === object.metadata.uid) cache.apply('DELETED', object);
}
