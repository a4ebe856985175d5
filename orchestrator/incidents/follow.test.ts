import { expect, test } from 'vitest';
import { nextFor } from './follow.ts';

type Facts = Parameters<typeof nextFor>[0];

/** A credential whose rotation is done and whose leaked version is dead. */
const replaced: Facts = {
  answer: 'rotate',
  attempt: undefined,
  versionId: 'leaked',
  versionState: 'revoked',
  rotationId: 'rotation',
  rotationState: 'done',
  rotationNewVersion: 'fresh',
  tries: 1,
  idleSeconds: 0,
  held: false,
  kept: false,
  unapproved: false,
};
const fresh: Partial<Facts> = { versionState: 'current', rotationId: undefined, rotationState: undefined };

const dead: Partial<Facts> = { answer: 'prove', rotationId: undefined, rotationState: undefined };

test.each<[string, Partial<Facts>, string]>([
  ['is replaced', {}, 'end-proven'],
  ['is replaced, and people have still to approve what comes after', { unapproved: true }, 'wait'],
  ['has no rotation', fresh, 'rotate'],
  ['is held up, and by what it is contained is not kept yet', { ...fresh, held: true }, 'rotate'],
  ['is held up', { ...fresh, held: true, kept: true }, 'wait'],
  ['was held up', { ...fresh, kept: true }, 'rotate'],
  ['was replaced by the one that leaked', { rotationNewVersion: 'leaked' }, 'rotate'],
  ['was rolled back just now', { rotationState: 'rolled-back' }, 'wait'],
  ['was rolled back a while ago', { rotationState: 'rolled-back', idleSeconds: 2 }, 'rotate'],
  ['was rolled back too often', { rotationState: 'rolled-back', tries: 6 }, 'end-failed'],
  ['was dead before, and was not tried yet', dead, 'wait'],
  ['was dead before, and is refused', { ...dead, attempt: 'refused' }, 'end-proven'],
  ['was dead before, and whose value nobody has', { ...dead, attempt: 'not-tried' }, 'end-proven'],
  ['was dead before, and whose provider never answered', { ...dead, attempt: 'failed' }, 'end-failed'],
  ['was brought back', { ...dead, ...fresh, answer: 'rotate', attempt: 'accepted' }, 'rotate'],
  ['turned out to be alive', { ...dead, versionState: 'previous' }, 'rotate'],
  ['is merely named', { ...fresh, answer: 'watch' }, 'end-noted'],
])('a credential that %s', (_what, facts, expected) => {
  expect(nextFor({ ...replaced, ...facts })).toBe(expected);
});
