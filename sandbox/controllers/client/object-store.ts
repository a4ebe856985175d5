import type { Stored } from './wire.ts';

export type Change<T> = { readonly before: T | undefined; readonly after: T | undefined };

/** How many removed objects are remembered, so that a late answer doesn't bring one back. */
const REMEMBERED_REMOVALS = 10_000;

/** The latest known state of all objects of a kind, findable by name and by owner. */
export class ObjectStore<T extends Stored> {
  readonly #objects = new Map<string, T>();
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #removed = new Set<string>();
  readonly #listeners = new Set<(change: Change<T>) => void>();

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(`${namespace ?? ''}/${name}`);
  }

  byKey(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  /** Objects whose controlling owner has this uid. */
  ownedBy(uid: string): T[] {
    return [...(this.#byOwner.get(uid) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Told of every change, also of what is already there. Returns how to end it. */
  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    for (const after of this.#objects.values()) listener({ before: undefined, after });
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes over an answer to a write before the watch tells of it, so that the next decision already knows.
   * Older than what is known, or removed meanwhile: ignored.
   */
  observe(object: T): void {
    this.apply('MODIFIED', object);
  }

  /** One watch event. */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (type === 'DELETED') {
      this.#remember(object.metadata.uid);
      if (before && before.metadata.uid === object.metadata.uid) this.#put(key, before, undefined);
      return;
    }
    if (this.#removed.has(object.metadata.uid)) return;
    if (before && !newer(object, before.metadata.resourceVersion)) return;
    this.#put(key, before, object);
  }

  /** A fresh list. What is newer than the list stays: its events are still to come. */
  replace(objects: readonly T[], resourceVersion: string): void {
    const keys = new Set(objects.map(keyOf));
    for (const [key, before] of [...this.#objects])
      if (!keys.has(key) && !newer(before, resourceVersion)) this.#put(key, before, undefined);
    for (const object of objects) this.apply('MODIFIED', object);
  }

  #put(key: string, before: T | undefined, after: T | undefined): void {
    const [from, to] = [controllerOf(before)?.uid, controllerOf(after)?.uid];
    if (from !== undefined && from !== to) {
      const owned = this.#byOwner.get(from);
      owned?.delete(key);
      if (owned?.size === 0) this.#byOwner.delete(from);
    }
    if (to !== undefined) {
      const owned = this.#byOwner.get(to) ?? new Set();
      this.#byOwner.set(to, owned.add(key));
    }
    if (after) this.#objects.set(key, after);
    else this.#objects.delete(key);
    for (const listener of this.#listeners) listener({ before, after });
  }

  #remember(uid: string): void {
    this.#removed.add(uid);
    const [oldest] = this.#removed;
    if (this.#removed.size > REMEMBERED_REMOVALS && oldest !== undefined) this.#removed.delete(oldest);
  }
}

/** `namespace/name`; the namespace is empty for objects of the cluster. */
export function keyOf({ metadata }: Stored): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** The owner that manages an object, if any. */
export function controllerOf(object: Stored | undefined) {
  return object?.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function newer(object: Stored, than: string): boolean {
  return BigInt(object.metadata.resourceVersion) > BigInt(than);
}
