import type { KubeObject } from './json.ts';
import { expired } from './status.ts';

/** One change of one object. The state before it tells a selector's watcher that an object has left. */
export interface Change {
  readonly version: number;
  readonly storage: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly before: KubeObject | undefined;
}

export type ChangeListener = (change: Change) => void;

/** Objects in memory under one counter of versions, with the last changes kept for watches. */
export class Store {
  #version = 1;
  /** Changes up to this version are forgotten. */
  #forgotten = 0;
  readonly #historySize: number;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #history: Change[] = [];
  readonly #listeners = new Set<ChangeListener>();

  constructor(historySize: number) {
    this.#historySize = historySize;
  }

  get version(): number {
    return this.#version;
  }

  get(storage: string, namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(storage)?.get(`${namespace}/${name}`);
  }

  /** All objects of a storage, of one namespace or of all, ordered by namespace and name. */
  list(storage: string, namespace?: string): KubeObject[] {
    const found = [...(this.#objects.get(storage)?.entries() ?? [])];
    const wanted = namespace ? found.filter(([key]) => key.startsWith(`${namespace}/`)) : found;
    return wanted.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  storages(): string[] {
    return [...this.#objects.keys()];
  }

  /** Keeps the object under the next version and tells the watchers; returns it as it is kept. */
  put(storage: string, object: KubeObject): KubeObject {
    const kept = this.#versioned(object);
    const place = this.#place(storage);
    const key = keyOf(kept);
    const before = place.get(key);
    place.set(key, kept);
    this.#record({ storage, type: before ? 'MODIFIED' : 'ADDED', object: kept, before });
    return kept;
  }

  /** Takes the object away; the DELETED event carries its last state under a version of its own. */
  remove(storage: string, object: KubeObject): KubeObject {
    const last = this.#versioned(object);
    const place = this.#place(storage);
    const before = place.get(keyOf(object));
    place.delete(keyOf(object));
    this.#record({ storage, type: 'DELETED', object: last, before });
    return last;
  }

  /** Changes of a storage after a version. @throws ApiError 410 when some of them are forgotten */
  changesSince(storage: string, version: number): Change[] {
    if (version < this.#forgotten) {
      throw expired(`too old resource version: ${version} (${this.#forgotten})`);
    }
    return this.#history.filter((change) => change.storage === storage && change.version > version);
  }

  /** Whether a list that began at this version can still be continued. */
  remembers(version: number): boolean {
    return version >= this.#forgotten;
  }

  /** Forgets all changes until now, as a compaction does. */
  forget(): void {
    this.#history.length = 0;
    this.#forgotten = this.#version;
  }

  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #place(storage: string): Map<string, KubeObject> {
    const place = this.#objects.get(storage) ?? new Map<string, KubeObject>();
    this.#objects.set(storage, place);
    return place;
  }

  #versioned(object: KubeObject): KubeObject {
    this.#version += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
  }

  #record(change: Omit<Change, 'version'>): void {
    const recorded = { ...change, version: this.#version };
    this.#history.push(recorded);
    while (this.#history.length > this.#historySize) {
      this.#forgotten = this.#history.shift()?.version ?? this.#forgotten;
    }
    for (const listener of [...this.#listeners]) listener(recorded);
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
