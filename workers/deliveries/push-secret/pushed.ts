import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { FORCE_SYNC, nextForceSync, notReady } from '../../kubernetes/external-secrets.ts';

/** Why a PushSecret never pushes a new version, by what it says. https://external-secrets.io/latest/api/pushsecret/ */
export function neverPushed({ spec = {} }: ClusterObject): string | undefined {
  if (typeof spec.selector?.secret?.name !== 'string')
    return 'its selector names no Secret, so that it pushes something else than what is delivered';
  if (spec.updatePolicy === 'IfNotExists')
    return 'its updatePolicy is IfNotExists: what is there already is never replaced';
  return undefined;
}

/**
 * Whether the operator has pushed since it was told of this version: `status.syncedResourceVersion` stands for the metadata
 * that it has seen, in a form of its own, so that only another one than before the telling counts.
 */
export function isPushed(found: ClusterObject, versionId: string): boolean {
  const [, version, before] = /^(\S+) since .* after (\S+)$/.exec(toldIn(found)) ?? [];
  const synced = syncedOf(found);
  return version === versionId && synced !== '' && synced !== before && notReady(found) === undefined;
}

/** What the annotation must say so that it pushes; undefined while it has been told just now. */
export function pushing(found: ClusterObject, versionId: string, nowMs: number): string | undefined {
  const told = toldIn(found);
  // A push of what was there before it was put right is none.
  const { value } = nextForceSync(isPushed(found, versionId) ? undefined : told, versionId, nowMs);
  return told.startsWith(`${value} after `) ? undefined : `${value} after ${syncedOf(found) || 'none'}`;
}

function toldIn({ metadata }: ClusterObject): string {
  return metadata?.annotations?.[FORCE_SYNC] ?? '';
}

function syncedOf({ status }: ClusterObject): string {
  return status?.syncedResourceVersion ?? '';
}
