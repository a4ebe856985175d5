import { RotorError } from '../../core/errors.ts';
import { versionIdOf } from '../foreign-ids.ts';
import type { Stage } from '../store.ts';

/** One version of a parameter, as GetParameterHistory shows it, without its value. */
export interface ParameterVersion {
  readonly number: number;
  readonly labels: readonly string[];
  readonly modifiedAt: Date;
  readonly type: string;
  readonly tier: string;
  readonly keyId: string | undefined;
  readonly description: string | undefined;
}

export const LABEL = {
  pending: 'rotor-pending',
  current: 'rotor-current',
  previous: 'rotor-previous',
} as const satisfies Record<Stage, string>;

/** Description of the version that a parameter of Rotor's making starts with, before there is a credential. */
export const PLACEHOLDER = 'Made by Rotor; the first credential follows.';

const ID = 'rotor-id-';
/** Versions that lost every stage keep their id this long; labelled ones would block the parameter at 100 versions. */
const KEPT = 10;

export function idLabel(versionId: string): string {
  return `${ID}${versionId}`;
}

/** Rotor's id: from the label that Rotor gave, else derived from the number of a version that others made. */
export function idOf(path: string, version: ParameterVersion): string {
  const own = version.labels.find((label) => label.startsWith(ID));
  return own?.slice(ID.length) ?? versionIdOf(path, `version ${version.number}`);
}

/**
 * The stage of a version. Labels are set one after the other, so one may carry several for a moment: the current one
 * counts as nothing else. Before Rotor has touched a parameter its newest version is the current one.
 */
export function stageOf(history: readonly ParameterVersion[], version: ParameterVersion): Stage | undefined {
  if (isPlaceholder(version)) return undefined;
  if (!history.some(isTouched)) return version === newest(history) ? 'current' : undefined;
  return (['current', 'previous', 'pending'] as const).find((stage) => version.labels.includes(LABEL[stage]));
}

export function versionWith(
  history: readonly ParameterVersion[],
  stage: Stage,
): ParameterVersion | undefined {
  return history.find((version) => stageOf(history, version) === stage);
}

export function versionOf(
  history: readonly ParameterVersion[],
  path: string,
  versionId: string,
): ParameterVersion | undefined {
  return history.find((version) => !isPlaceholder(version) && idOf(path, version) === versionId);
}

export function newest(history: readonly ParameterVersion[]): ParameterVersion | undefined {
  return history.reduce<ParameterVersion | undefined>(
    (last, version) => (last && last.number > version.number ? last : version),
    undefined,
  );
}

/** Written by Rotor and not labelled yet, perhaps: newer than every version with a label. */
export function unlabelled(history: readonly ParameterVersion[]): readonly ParameterVersion[] {
  const labelled = Math.max(0, ...history.filter(isTouched).map(({ number }) => number));
  return history.filter((version) => version.number > labelled && !isPlaceholder(version));
}

export type Change =
  | { readonly label: readonly string[]; readonly on: number }
  | { readonly unlabel: readonly string[]; readonly on: number };

/**
 * The changes that promote a version, in an order in which every state between them is right: `rotor-previous` first,
 * then `rotor-current`, which moves in one step, then what is left over.
 * @throws RotorError `store.conflict`, `store.not-found`
 */
export function promotion(
  history: readonly ParameterVersion[],
  path: string,
  versionId: string,
  expected: string | undefined,
): readonly Change[] {
  const current = versionWith(history, 'current');
  const next = versionOf(history, path, versionId);
  if (!next)
    throw new RotorError('store.not-found', { what: `store path ${path} has no version ${versionId}` });
  const leftOver = next.labels.includes(LABEL.pending) ? [{ unlabel: [LABEL.pending], on: next.number }] : [];
  if (current === next) {
    const adopted = next.labels.includes(LABEL.current) ? [] : [{ label: [LABEL.current], on: next.number }];
    return [...adopted, ...leftOver];
  }
  const currentId = current && idOf(path, current);
  if (currentId !== expected) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: ${LABEL.current} is on ${currentId ?? 'no version'}, expected ${expected ?? 'none'}`,
    });
  }
  return [
    ...(current ? [{ label: [LABEL.previous], on: current.number }] : []),
    { label: [LABEL.current], on: next.number },
    ...leftOver,
  ];
}

/** Takes Rotor's labels off a version. @throws RotorError `store.conflict` for the current one */
export function discarding(
  history: readonly ParameterVersion[],
  path: string,
  versionId: string,
): readonly Change[] {
  const version = versionOf(history, path, versionId);
  if (!version) return [];
  if (version === versionWith(history, 'current')) {
    throw new RotorError('store.conflict', {
      what: `store path ${path}: version ${versionId} is current and can't be discarded`,
    });
  }
  const own = version.labels.filter(isOurs);
  return own.length > 0 ? [{ unlabel: own, on: version.number }] : [];
}

/** Old versions without a stage whose labels would stop AWS from dropping them. */
export function tidying(history: readonly ParameterVersion[]): readonly Change[] {
  return history
    .filter((version) => version.labels.some(isOurs) && stageOf(history, version) === undefined)
    .toSorted((a, b) => b.number - a.number)
    .slice(KEPT)
    .map((version) => ({ unlabel: version.labels.filter(isOurs), on: version.number }));
}

function isPlaceholder({ description, number }: ParameterVersion): boolean {
  return number === 1 && description === PLACEHOLDER;
}

function isTouched(version: ParameterVersion): boolean {
  return isPlaceholder(version) || version.labels.some(isOurs);
}

function isOurs(label: string): boolean {
  return label.startsWith('rotor-');
}
