import { RotorError } from '../../core/errors.ts';
import type { Stage } from '../store.ts';

/** Which staging labels each version carries, by AWS's id of the version. Only labelled ones, as DescribeSecret lists them. */
export type Labels = Readonly<Record<string, readonly string[]>>;

export const LABEL = {
  pending: 'AWSPENDING',
  current: 'AWSCURRENT',
  previous: 'AWSPREVIOUS',
} as const satisfies Record<Stage, string>;

/**
 * AWS gives AWSCURRENT to the first version of a secret whatever it is asked for (PutSecretValue, VersionStages). So
 * that a first credential can be staged before it works, an empty secret gets this version first. It counts as none.
 */
export const PLACEHOLDER = { token: 'rotor-placeholder-before-first-version', document: '{}' } as const;

/**
 * Stages by a version's labels. AWSPENDING stays on a version after its rotation at AWS's own functions, and at a worker
 * that dies between two calls: whatever is or was current isn't pending.
 */
export function stagesOf(labels: readonly string[]): readonly Stage[] {
  const stages = (['current', 'previous', 'pending'] as const).filter((stage) =>
    labels.includes(LABEL[stage]),
  );
  return stages.slice(0, 1);
}

/** The version that has a stage; undefined when none has, or only the placeholder. */
export function versionWith(labels: Labels, stage: Stage): string | undefined {
  const found = Object.entries(labels).find(
    ([id, own]) => id !== PLACEHOLDER.token && stagesOf(own).includes(stage),
  );
  return found?.[0];
}

export interface Move {
  readonly label: string;
  readonly from?: string;
  readonly to?: string;
}

/**
 * The calls of UpdateSecretVersionStage that promote a version: AWSCURRENT first, then what would be left over. AWS moves
 * AWSPREVIOUS by itself.
 * @param expected AWS's id of the version that must be current
 * @throws RotorError `store.conflict` when another one is
 */
export function promotion(
  labels: Labels,
  path: string,
  versionId: string,
  expected: string | undefined,
): readonly Move[] {
  const current = versionWith(labels, 'current');
  const leftOver = (ids: readonly (string | undefined)[]): readonly Move[] =>
    ids
      .filter((id) => id !== undefined && labels[id]?.includes(LABEL.pending))
      .map((id) => ({ label: LABEL.pending, from: id as string }));
  if (current === versionId) return leftOver([versionId]);
  if (current !== expected) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: AWSCURRENT is on ${current ?? 'no version'}, expected ${expected ?? 'none'}`,
    });
  }
  const from = Object.keys(labels).find((id) => labels[id]?.includes(LABEL.current));
  return [
    { label: LABEL.current, to: versionId, ...(from === undefined ? {} : { from }) },
    ...leftOver([versionId, current]),
  ];
}

/** The calls that leave a version without a stage; labels of others stay. @throws RotorError `store.conflict` for the current one */
export function discarding(labels: Labels, path: string, versionId: string): readonly Move[] {
  const own = labels[versionId] ?? [];
  if (own.includes(LABEL.current)) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: version ${versionId} is current and can't be discarded`,
    });
  }
  const stages: readonly string[] = Object.values(LABEL);
  return own.filter((label) => stages.includes(label)).map((label) => ({ label, from: versionId }));
}
