import { keyOfName, type ObjectName, type Reader } from './kinds.ts';
import type { SecretReference } from './references.ts';

/** A pod that reads the Secret, or is about to. */
export interface ConsumerPod {
  readonly name: string;
  /** When it was made, to the second: it can't have read anything before. */
  readonly createdAt: string | undefined;
}

/** A workload that reads a Secret: by its template, or by pods of its that do. */
export interface Consumer extends ObjectName {
  readonly references: readonly SecretReference[];
  readonly pods: readonly ConsumerPod[];
  /** Who made the workload itself (an operator's resource, perhaps), and may undo what others change of it. */
  readonly managedBy: ObjectName | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The name under which a Secret is looked up, for Secrets of which there is one per version. Of one with a stable name
 * it is the name itself.
 */
export type LogicalName = (namespace: string, secretName: string) => string;

/**
 * Secret to workloads, in memory. A change costs what the object's own references cost, a lookup what the Secret's own
 * readers cost, however many others there are.
 */
export class ConsumerIndex {
  readonly #logicalName: LogicalName;
  readonly #readers = new Map<string, Reader>();
  /** By `namespace/secret`: the keys of those that read it. */
  readonly #bySecret = new Map<string, Set<string>>();
  /** By workload: the Argo Rollout that takes its template from it. */
  readonly #takenBy = new Map<string, Reader>();

  constructor(logicalName: LogicalName = (_namespace, name) => name) {
    this.#logicalName = logicalName;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** Puts an object in place of what was known under its name. */
  change(before: Reader | undefined, after: Reader | undefined): void {
    if (before) this.#remove(before);
    if (after) this.#add(after);
  }

  /** Every workload that reads the Secret, ordered by kind and name. */
  consumersOf(namespace: string, secretName: string): readonly Consumer[] {
    const found = new Map<string, { of: ObjectName; references: SecretReference[]; pods: ConsumerPod[] }>();
    for (const key of this.#bySecret.get(`${namespace}/${secretName}`) ?? []) {
      const reader = this.#readers.get(key);
      if (!reader) continue;
      const top = this.#topOf(reader);
      const at = keyOfName(top);
      const consumer = found.get(at) ?? { of: top, references: [], pods: [] };
      found.set(at, consumer);
      for (const each of reader.references)
        if (
          this.#means(namespace, each, secretName) &&
          !consumer.references.some((known) => same(known, each))
        )
          consumer.references.push(each);
      if (reader.kind === 'Pod') consumer.pods.push({ name: reader.name, createdAt: reader.createdAt });
    }
    return [...found.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([
          key,
          {
            of: { apiVersion, kind, name },
            references,
            pods,
          },
        ]) => ({
          apiVersion,
          kind,
          namespace,
          name,
          references,
          pods: pods.sort((a, b) => (a.name < b.name ? -1 : 1)),
          managedBy: this.#readers.get(key)?.owner,
          labels: this.#readers.get(key)?.labels ?? {},
        }),
      );
  }

  #add(reader: Reader): void {
    const key = keyOfName(reader);
    this.#readers.set(key, reader);
    if (reader.templateOf) this.#takenBy.set(keyOfName(reader.templateOf), reader);
    for (const at of this.#placesOf(reader)) {
      const place = this.#bySecret.get(at) ?? new Set();
      place.add(key);
      this.#bySecret.set(at, place);
    }
  }

  #remove(reader: Reader): void {
    const key = keyOfName(reader);
    this.#readers.delete(key);
    if (reader.templateOf) this.#takenBy.delete(keyOfName(reader.templateOf));
    for (const at of this.#placesOf(reader)) {
      const place = this.#bySecret.get(at);
      place?.delete(key);
      if (place?.size === 0) this.#bySecret.delete(at);
    }
  }

  /** A ReplicaSet that a Deployment made is one of its revisions, most of them without pods: only its pods count. */
  #placesOf({ kind, owner, namespace, references }: Reader): readonly string[] {
    if (kind === 'ReplicaSet' && owner) return [];
    return references.flatMap(({ secret }) => {
      const logical = this.#logicalName(namespace, secret);
      return [...new Set([secret, logical])].map((name) => `${namespace}/${name}`);
    });
  }

  #means(namespace: string, { secret }: SecretReference, wanted: string): boolean {
    return secret === wanted || this.#logicalName(namespace, secret) === wanted;
  }

  /** Whose it is: from a pod to the ReplicaSet, from there to the Deployment or Rollout. A Job stands for itself. */
  #topOf(reader: Reader): ObjectName {
    let top: ObjectName = reader;
    let known: Reader | undefined = reader;
    while (known?.owner && (known.kind === 'Pod' || known.kind === 'ReplicaSet')) {
      top = known.owner;
      known = this.#readers.get(keyOfName(top));
    }
    return this.#takenBy.get(keyOfName(top)) ?? top;
  }
}

function same(a: SecretReference, b: SecretReference): boolean {
  return a.secret === b.secret && a.by === b.by && a.where === b.where;
}
