import { RotorError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret.ts';
import type { Stage } from './store.ts';

/** One version in an index that a store keeps, oldest first there. */
export interface Staged {
  readonly versionId: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly stages: readonly Stage[];
}

/** A version of a store that removes documents in requests of their own. */
export interface Droppable extends Staged {
  /** On its way out: nobody sees it, and the next writer removes what is left. */
  readonly dropped?: boolean | undefined;
}

/** Adds `version` (its own stages don't matter) as the pending one. A known version keeps a stage it has. */
export function withPending<V extends Staged>(versions: readonly V[], version: V): readonly V[] {
  const known = versions.find(({ versionId }) => versionId === version.versionId);
  // A late repeat after promotion changes nothing: the stage only ever moves forward from here.
  if (known && known.stages.length > 0) return versions;
  const rest = without(versions, 'pending').filter(({ versionId }) => versionId !== version.versionId);
  return [...rest, { ...(known ?? version), stages: ['pending'] }];
}

/** @throws RotorError `store.conflict` or `store.not-found`, as StoreSession.promote says */
export function promoted<V extends Staged>(
  versions: readonly V[],
  path: string,
  versionId: string,
  expected: string | undefined,
): readonly V[] {
  const current = withStage(versions, 'current');
  if (current?.versionId === versionId) return versions;
  if (!versions.some((version) => version.versionId === versionId)) {
    throw new RotorError('store.not-found', { what: `store path ${path} has no version ${versionId}` });
  }
  if (current?.versionId !== expected) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: current is ${current?.versionId ?? 'no version'}, expected ${expected ?? 'none'}`,
    });
  }
  return without(without(versions, 'previous'), 'current').map((version) => {
    if (version.versionId === versionId) return { ...version, stages: ['current'] };
    return version.versionId === expected ? { ...version, stages: ['previous'] } : version;
  });
}

/** @throws RotorError `store.conflict` when the version is the current one */
export function discarded<V extends Staged>(
  versions: readonly V[],
  path: string,
  versionId: string,
): readonly V[] {
  if (withStage(versions, 'current')?.versionId === versionId) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: version ${versionId} is current and can't be discarded`,
    });
  }
  return versions.filter((version) => version.versionId !== versionId);
}

/** Drops the oldest versions without a stage, so that at most `keep` of them remain. */
export function pruned<V extends Staged>(versions: readonly V[], keep: number): readonly V[] {
  const loose = versions.filter(({ stages }) => stages.length === 0);
  const drop = new Set(loose.slice(0, Math.max(0, loose.length - keep)));
  return versions.filter((version) => !drop.has(version));
}

/** Marks those that are kept no longer; they leave the record when their documents are gone. */
export function marked<V extends Droppable>(before: readonly V[], after: readonly V[], keep: number): V[] {
  const kept = pruned(
    after.filter(({ dropped }) => !dropped),
    keep,
  );
  const ids = new Set(kept.map(({ versionId }) => versionId));
  const out = before.filter(({ versionId }) => !ids.has(versionId));
  const late = after.filter(
    (version) => !ids.has(version.versionId) && !out.some(({ versionId }) => versionId === version.versionId),
  );
  return [...[...out, ...late].map((version): V => ({ ...version, stages: [], dropped: true })), ...kept];
}

/** The version that a reader asks for. */
export function versionAt<V extends Staged>(
  versions: readonly V[],
  which: Stage | { readonly versionId: string },
): V | undefined {
  if (typeof which === 'string') return withStage(versions, which);
  return versions.find(({ versionId }) => versionId === which.versionId);
}

/**
 * StoreSession.read of a store that keeps documents beside the record of their stages.
 * @param missing damage: the record names a document that isn't there
 */
export async function readBeside<View extends { readonly versions: readonly Staged[] }>(
  which: Stage | { readonly versionId: string },
  look: () => Promise<View>,
  documentOf: (found: View['versions'][number], view: View) => Promise<SecretValue | undefined>,
  missing: (versionId: string) => RotorError,
): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
  for (let missed: string | undefined; ; ) {
    const view = await look();
    const found: View['versions'][number] | undefined = versionAt(view.versions, which);
    if (!found) return undefined;
    const document = await documentOf(found, view);
    if (document) return { versionId: found.versionId, document };
    // Discarded between the two looks: look again. Missing twice is damage, not a race.
    if (missed === found.versionId) throw missing(found.versionId);
    missed = found.versionId;
  }
}

export function withStage<V extends Staged>(versions: readonly V[], stage: Stage): V | undefined {
  return versions.find(({ stages }) => stages.includes(stage));
}

function without<V extends Staged>(versions: readonly V[], stage: Stage): readonly V[] {
  return versions.map((version) =>
    version.stages.includes(stage)
      ? { ...version, stages: version.stages.filter((other) => other !== stage) }
      : version,
  );
}
