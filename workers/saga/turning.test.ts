import { expect, test } from 'vitest';
import type { RotatorSession } from '../../rotators/rotator.ts';
import type { Position } from './position.ts';
import { keepsPending } from './turning.ts';

type Rotator = Pick<RotatorSession, 'capabilities' | 'lingersMs' | 'prepare'>;
const capabilities = { overlap: 'none', issuedBy: 'rotor', seesUsage: false, fence: 'deadline' } as const;
const needing: Rotator = { capabilities: { ...capabilities, needsPending: true } };
const installing = {
  touched: ['generate', 'install'],
  undone: new Set(),
  notes: new Map(),
  doneAt: new Map(),
} as unknown as Position;

test.each<[string, Rotator, Partial<Position>, boolean]>([
  ['the next one is put in force with its help', needing, {}, true],
  ['a call that sets it may still land', { capabilities, lingersMs: 1_000 }, {}, true],
  ['neither', { capabilities }, {}, false],
  ['it was never sent', needing, { touched: ['generate'] }, false],
  ['it was taken back', needing, { undone: new Set(['install'] as const) }, false],
  ['only prepared for', { ...needing, prepare: async () => undefined }, {}, false],
  [
    'prepared for, and sent',
    { ...needing, prepare: async () => undefined },
    { notes: new Map([['install', { prepared: true }]] as const) },
    true,
  ],
])('a pending credential is kept: %s', (_what, rotator, position, kept) => {
  expect(keepsPending({ ...installing, ...position }, rotator)).toBe(kept);
});
