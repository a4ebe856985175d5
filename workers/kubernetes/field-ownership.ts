import { type ClusterObject, FIELD_MANAGER } from '../../core/kubernetes/cluster.ts';
import { timeOf } from './last-progress.ts';

/**
 * `managedFields` of an object: who has set which field, by an update or by a server-side apply. `fieldsV1` is a tree of
 * `f:<name>` keys (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management).
 */
interface Entry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly time?: Date | string;
  readonly fieldsV1?: Tree;
}
interface Tree {
  readonly [key: string]: Tree;
}

/**
 * An object that Rotor has created belongs to it by an update, and what is left out of a later apply would stay there. This
 * makes what it set by updates part of what it applies, as client-go does when a client turns to server-side apply
 * (k8s.io/client-go/util/csaupgrade).
 * @returns `managedFields` to be written with the `resourceVersion` that was seen; undefined when there is nothing to do
 */
export function asApplied(object: ClusterObject): readonly object[] | undefined {
  const entries = entriesOf(object);
  const updated = entries.filter((entry) => isOurs(entry, 'Update'));
  const [first] = updated;
  if (!first) return undefined;
  const applied = entries.find((entry) => isOurs(entry, 'Apply'));
  const fields = [applied, ...updated].reduce<Tree>((all, entry) => union(all, entry?.fieldsV1 ?? {}), {});
  const others = entries.filter((entry) => !updated.includes(entry) && entry !== applied);
  return [...others, { ...(applied ?? first), operation: 'Apply', fieldsV1: fields }];
}

function isOurs(entry: Entry, operation: 'Apply' | 'Update'): boolean {
  return entry.manager === FIELD_MANAGER && entry.operation === operation && !entry.subresource;
}

function union(one: Tree, other: Tree): Tree {
  const merged: Record<string, Tree> = { ...one };
  for (const [key, tree] of Object.entries(other)) merged[key] = union(merged[key] ?? {}, tree);
  return merged;
}

/** @param path names of fields, from the object on: `['data', 'password']` */
export function isSetByUs(object: ClusterObject, path: readonly string[]): boolean {
  return entriesOf(object).some(
    ({ manager, fieldsV1 }) => manager === FIELD_MANAGER && covers(fieldsV1, path),
  );
}

/** Names below `path` that we have set: `['data']` gives the keys of a Secret that are ours. */
export function namesSetByUs(object: ClusterObject, path: readonly string[]): readonly string[] {
  const names = entriesOf(object).flatMap(({ manager, fieldsV1 }) =>
    manager === FIELD_MANAGER ? Object.keys(treeAt(fieldsV1, path) ?? {}) : [],
  );
  return [...new Set(names)].flatMap((name) => (name.startsWith('f:') ? [name.slice(2)] : []));
}

export interface Writer {
  readonly by: string;
  readonly at: string | undefined;
}

/** Who else has set a field, the latest of them. */
export function otherWriterOf(object: ClusterObject, path: readonly string[]): Writer | undefined {
  return latest(
    entriesOf(object).filter(({ manager, fieldsV1 }) => manager !== FIELD_MANAGER && covers(fieldsV1, path)),
  );
}

/**
 * When fields were last written, by the API server's notes on who manages them, whoever it was. A manager has one time for
 * all that it has set: later than the truth, never earlier.
 * @returns milliseconds since 1970, in whole seconds; undefined when nobody is noted for them
 */
export function fieldsWrittenMs(object: ClusterObject, path: readonly string[]): number | undefined {
  const times = entriesOf(object)
    .filter(({ fieldsV1, subresource }) => !subresource && covers(fieldsV1, path))
    .flatMap(({ time }) => timeOf(time) ?? []);
  return times.length === 0 ? undefined : Math.max(...times);
}

function latest(entries: readonly Entry[]): Writer | undefined {
  const dated = entries.map(({ manager = 'somebody', time }) => ({
    by: manager,
    at: time instanceof Date ? time.toISOString() : time,
  }));
  return dated.sort((a, b) => ((a.at ?? '') < (b.at ?? '') ? 1 : -1))[0];
}

function covers(tree: Tree | undefined, path: readonly string[]): boolean {
  return treeAt(tree, path) !== undefined;
}

function treeAt(tree: Tree | undefined, path: readonly string[]): Tree | undefined {
  return path.reduce<Tree | undefined>((node, name) => node?.[`f:${name}`], tree);
}

function entriesOf(object: ClusterObject): readonly Entry[] {
  return (object.metadata?.managedFields ?? []) as readonly Entry[];
}
