import type { WireObject } from '../../core/kubernetes/collections.ts';
import type { Kind } from '../manifests/manifest.ts';
import type { Status } from './status.ts';

export const ROTATE_NOW = 'rotor.dev/rotate-now';

/** The little of a custom resource that is kept in memory. */
export interface CustomResource {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly createdAt: Date;
  readonly spec: unknown;
  /** Label `environment`. */
  readonly environment?: string | undefined;
  readonly status: Partial<Status>;
  /** Value of the annotation that asks for a rotation. */
  readonly rotateNow: string | undefined;
}

/** Reads what the API server says of an object; undefined for one that is being deleted. */
export function customResource(kind: Kind, object: WireObject): CustomResource | undefined {
  const { metadata } = object;
  if (metadata.deletionTimestamp !== undefined) return undefined;
  return {
    kind,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    generation: Number((metadata as { generation?: number }).generation ?? 0),
    resourceVersion: metadata.resourceVersion ?? '',
    createdAt: new Date(metadata.creationTimestamp ?? 0),
    spec: object.spec,
    environment: metadata.labels?.environment,
    status: object.status ?? {},
    rotateNow: metadata.annotations?.[ROTATE_NOW] || undefined,
  };
}

/** Whether something changed that Rotor acts on; its own status is nothing of the kind. */
export function isNews(before: CustomResource | undefined, after: CustomResource | undefined): boolean {
  return (
    before?.uid !== after?.uid ||
    before?.generation !== after?.generation ||
    before?.environment !== after?.environment ||
    before?.rotateNow !== after?.rotateNow
  );
}
