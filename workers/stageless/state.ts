import type { SealedVersion, StagelessPath } from '../../ledger/stageless.ts';
import { versionIdOf } from '../../stores/foreign-ids.ts';
import { type Staged, withStage } from '../../stores/stages.ts';

/** What stands at a path, as far as stages go. */
export interface Seen {
  /** Keyed hash of it; '' when nothing stands there. */
  readonly mark: string;
  /** The version that it is, of those that were current once. */
  readonly versionId: string | undefined;
  /** ISO 8601. */
  readonly since: string;
  /** Whether the store gives it back. */
  readonly readable: boolean;
}

export type Current =
  | { readonly is: 'none' }
  /** `stands: false`: decided, and not yet written. */
  | { readonly is: 'ours'; readonly versionId: string; readonly stands: boolean }
  | { readonly is: 'foreign'; readonly versionId: string };

/**
 * Which version is current. A decision to publish counts from the moment that it is on record, since whoever comes next
 * carries it out; what somebody else wrote at the path is a version of its own.
 */
export function currentOf({ live }: Pick<StagelessPath, 'live'>, seen: Seen): Current {
  if (live && seen.versionId === live.versionId)
    return { is: 'ours', versionId: live.versionId, stands: true };
  if (live && !live.published && seen.mark === live.over) {
    return { is: 'ours', versionId: live.versionId, stands: false };
  }
  // Somebody put an earlier version of ours back.
  if (seen.versionId !== undefined) return { is: 'ours', versionId: seen.versionId, stands: true };
  // What can't be read can't be a version; the store itself decides whether it may be written over.
  if (seen.mark === '' || (!seen.readable && live === undefined)) return { is: 'none' };
  return { is: 'foreign', versionId: versionIdOf('', seen.mark) };
}

/** The versions with their stages as they are, given what consumers read; oldest first. */
export function effective(
  versions: readonly SealedVersion[],
  current: Current,
  seen: Seen,
): readonly (Staged & { readonly sealed?: string })[] {
  const recorded = withStage(versions, 'current');
  const now = current.is === 'none' ? undefined : current.versionId;
  if (recorded?.versionId === now) return versions;
  const rest = versions.map((version): Staged & { readonly sealed?: string } => {
    if (version.versionId === now) return { ...version, stages: ['current' as const] };
    if (version === recorded) return { ...version, stages: ['previous' as const] };
    const stages = version.stages.filter((stage) => stage !== 'previous' || recorded === undefined);
    return { ...version, stages };
  });
  if (current.is !== 'foreign') return rest;
  const foreign: Staged = {
    versionId: current.versionId,
    createdAt: seen.since,
    stages: ['current'],
  };
  const later = rest.findIndex(({ createdAt }) => createdAt > foreign.createdAt);
  return later < 0 ? [...rest, foreign] : rest.toSpliced(later, 0, foreign);
}
