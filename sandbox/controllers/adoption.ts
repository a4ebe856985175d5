import type { V1LabelSelector } from '@kubernetes/client-node';
import { controllerOf } from './client/object-store.ts';
import type { Resource } from './client/resource.ts';
import { matches } from './client/selector.ts';
import type { Stored } from './client/wire.ts';
import { controllerReference, type OwnerFacts } from './pod-facts.ts';

type Owner = OwnerFacts & {
  readonly metadata: { readonly namespace: string; readonly deletionTimestamp?: string };
};

/**
 * What an owner manages: its own objects that the selector still matches, and orphans that it matches, which
 * are taken over. Own objects that it no longer matches are let go.
 */
export async function claim<T extends Stored>(
  resource: Resource<T>,
  owner: Owner,
  selector: V1LabelSelector | undefined,
): Promise<T[]> {
  const { uid, namespace, deletionTimestamp } = owner.metadata;
  const fits = ({ metadata }: T) => matches(selector, metadata.labels);
  const claimed: T[] = [];
  for (const object of resource.cache.ownedBy(uid)) {
    if (fits(object)) claimed.push(object);
    else if (!object.metadata.deletionTimestamp && !deletionTimestamp) await release(resource, object, uid);
  }
  if (deletionTimestamp) return claimed;
  for (const object of resource.cache.list(namespace)) {
    if (controllerOf(object) || object.metadata.deletionTimestamp || !fits(object)) continue;
    const others = object.metadata.ownerReferences ?? [];
    claimed.push(await withOwners(resource, object, [...others, controllerReference(owner)]));
  }
  return claimed;
}

async function release<T extends Stored>(resource: Resource<T>, object: T, uid: string): Promise<void> {
  const others = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
  await withOwners(resource, object, others);
}

async function withOwners<T extends Stored>(
  resource: Resource<T>,
  object: T,
  ownerReferences: Stored['metadata']['ownerReferences'] & object,
): Promise<T> {
  return resource.update({ ...object, metadata: { ...object.metadata, ownerReferences } });
}

/** Keys of the owners whose selector matches an orphan. */
export function adopters<T extends Stored & { spec: { selector?: V1LabelSelector } }>(
  owners: { list(namespace?: string): T[] },
  orphan: Stored,
): string[] {
  return owners
    .list(orphan.metadata.namespace)
    .filter(({ spec }) => matches(spec.selector, orphan.metadata.labels))
    .map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`);
}
