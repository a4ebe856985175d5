import { metadataOnly, toVersion } from './convert.ts';
import type { JsonObject, KubeObject } from './json.ts';
import type { Page } from './listing.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import { tableOf } from './table.ts';
import type { World } from './world.ts';

export type Form = 'object' | 'table' | 'metadata';

/** The first form of the Accept header that the server can write. */
export function acceptedForm(accept: string | undefined): Form {
  for (const part of (accept ?? '').split(',')) {
    if (!part.includes('json') && !part.includes('*/*')) continue;
    if (part.includes('as=Table')) return 'table';
    if (/as=PartialObjectMetadata/.test(part)) return 'metadata';
    if (!part.includes('as=')) return 'object';
  }
  return 'object';
}

export interface RenderRequest {
  readonly world: World;
  readonly type: ResourceType;
  readonly form: Form;
  /** `includeObject` of tables. */
  readonly include: string;
}

/** One object in the asked form. */
export function renderObject(asked: RenderRequest, object: KubeObject, headers = true): JsonObject {
  const shown = toVersion(asked.type, object);
  if (asked.form === 'metadata') return metadataOnly(shown);
  if (asked.form === 'table') {
    return tableOf(asked, [shown], { resourceVersion: object.metadata.resourceVersion }, headers);
  }
  return shown;
}

/** A page of a list in the asked form. */
export function renderList(asked: RenderRequest, page: Page): JsonObject {
  const items = page.items.map((item) => toVersion(asked.type, item));
  if (asked.form === 'table') return tableOf(asked, items, page.metadata, true);
  if (asked.form === 'metadata') {
    const kind = 'PartialObjectMetadataList';
    return { kind, apiVersion: 'meta.k8s.io/v1', metadata: page.metadata, items: items.map(metadataOnly) };
  }
  const { type } = asked;
  // As on a real server, objects of built-in kinds in lists don't repeat their kind.
  const bare = (item: KubeObject): JsonObject => {
    if (type.custom) return item;
    const { kind: _kind, apiVersion: _version, ...rest } = item;
    return rest;
  };
  return {
    kind: type.listKind,
    apiVersion: groupVersionOf(type),
    metadata: page.metadata,
    items: items.map(bare),
  };
}
