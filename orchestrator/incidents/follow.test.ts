import { expect, test } from 'vitest';
import type { OpenTarget } from '../../ledger/incidents.ts';
import { nextFor } from './follow.ts';

const target: Parameters<typeof nextFor>[0] = {
  versionId: 'leaked',
  versionState: 'current',
  answer: 'rotate',
  attempt: undefined,
  rotationId: 'r1',
  rotationState: 'done',
  rotationNewVersion: 'fresh',
  tries: 1,
  idleSeconds: 0,
};
const dead = { answer: 'prove', versionState: 'revoked', rotationId: undefined } as const;

test.each<[string, Partial<OpenTarget>, ReturnType<typeof nextFor>]>([
  ['a dead version that was not tried yet', dead, 'wait'],
  ['a dead version that was refused', { ...dead, attempt: 'refused' }, 'end-proven'],
  ['a dead version whose value nobody has', { ...dead, attempt: 'not-tried' }, 'end-proven'],
  ['a dead version whose provider never answered', { ...dead, attempt: 'failed' }, 'end-failed'],
  ['a version that was brought back', { ...dead, answer: 'rotate', attempt: 'accepted' }, 'rotate'],
  ['a version that turned out to be alive', { ...dead, versionState: 'previous' }, 'rotate'],
  ['a leak that was rotated away', { versionState: 'revoked' }, 'end-proven'],
  ['a rotation that replaced another version', { versionState: 'current' }, 'rotate'],
  ['a rotation that was rolled back just now', { rotationState: 'rolled-back', tries: 2 }, 'wait'],
  ['a rotation that was rolled back a while ago', { rotationState: 'rolled-back', idleSeconds: 9 }, 'rotate'],
  ['a rotation that was rolled back too often', { rotationState: 'rolled-back', tries: 6 }, 'end-failed'],
  ['what is only watched', { answer: 'watch' }, 'end-noted'],
])('what comes next for %s', (_what, more, next) => {
  expect(nextFor({ ...target, ...more })).toBe(next);
});
