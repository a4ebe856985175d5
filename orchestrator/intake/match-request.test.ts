import { describe, expect, test } from 'vitest';
import type { Standing } from '../../ledger/event-requests.ts';
import { answerRequest, isAbout } from './match-request.ts';

const NOW = new Date('2026-06-01T12:00:00Z');
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);
const idle: Standing = {
  paused: false,
  suspended: false,
  lastRotatedAt: undefined,
  latest: undefined,
  now: NOW,
};
const open = { id: 'r1', state: 'running', open: true, createdAt: ago(1) } as const;
const ended = { id: 'r1', state: 'done', open: false, createdAt: ago(30) } as const;
const ROLE = 'arn:aws:iam::123456789012:role/rotor';

describe('an event is about a secret', () => {
  const event = { names: ['prod/db', 'prod/db-AbCdEf'], within: { region: 'eu-central-1', account: '1' } };
  test.each([
    ['of that name, where the store says no place', { name: 'prod/db', within: {} }, true],
    ['of that name and place', { name: 'prod/db', within: { region: 'eu-central-1', account: '1' } }, true],
    ['of either name', { name: 'prod/db-AbCdEf', within: {} }, true],
    ['not of another name', { name: 'db', within: {} }, false],
    ['not of another region', { name: 'prod/db', within: { region: 'us-east-1' } }, false],
    ['not of another account', { name: 'prod/db', within: { region: 'eu-central-1', account: '2' } }, false],
  ])('%s', (_name, address, expected) => expect(isAbout(event, address)).toBe(expected));
});

describe('a request', () => {
  test.each<[string, Partial<Standing>, { at?: Date; by?: string }, string]>([
    ['waits for the scheduler', {}, {}, 'waits'],
    ['waits while the policy is paused', { paused: true }, {}, 'waits'],
    ['waits while it is suspended', { suspended: true }, {}, 'waits'],
    ['is answered by the rotation under way', { latest: open }, {}, 'answered'],
    [
      'is answered when it was rotated since',
      { lastRotatedAt: ago(5), latest: ended },
      { at: ago(9) },
      'answered',
    ],
    ['is an echo right after a rotation', { lastRotatedAt: ago(5), latest: ended }, { at: ago(4) }, 'echo'],
    ['is one some time after a rotation', { lastRotatedAt: ago(25), latest: ended }, {}, 'waits'],
    ['from the future counts from now', { lastRotatedAt: ago(5) }, { at: ago(-60) }, 'echo'],
    ['is an echo when Rotor itself did it', {}, { by: ROLE }, 'echo'],
    ['of somebody else is one', {}, { by: `${ROLE}-not` }, 'waits'],
    ['is one after a rotation that failed', { latest: ended }, {}, 'waits'],
  ])('%s', (_name, standing, { at, by }, expected) => {
    expect(answerRequest({ at: at ?? NOW, by }, { ...idle, ...standing }, ROLE).answer).toBe(expected);
  });
});
