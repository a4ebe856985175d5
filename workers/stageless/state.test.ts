import { expect, test } from 'vitest';
import type { LiveVersion, SealedVersion } from '../../ledger/stageless.ts';
import { versionIdOf } from '../../stores/foreign-ids.ts';
import { currentOf, effective, type Seen } from './state.ts';

const MARK = '0123456789abcdef'.repeat(4);
const OTHER = 'fedcba9876543210'.repeat(4);
const seen = (changes: Partial<Seen> = {}): Seen => ({
  mark: MARK,
  versionId: undefined,
  since: '2026-01-02T00:00:00.000Z',
  readable: true,
  ...changes,
});
const version = (versionId: string, ...stages: SealedVersion['stages'][number][]): SealedVersion => ({
  versionId,
  createdAt: '2026-01-01T00:00:00.000Z',
  stages,
  sealed: 'sealed',
});
const live = (published: boolean, over = OTHER): LiveVersion => ({ versionId: 'b', over, published });

test.each([
  ['nothing anywhere', undefined, seen({ mark: '' }), 'none'],
  ['a path that Rotor never wrote', undefined, seen(), 'foreign'],
  ['one that the store gives nobody back', undefined, seen({ readable: false }), 'none'],
  ['a path that was emptied', live(true), seen({ mark: '' }), 'none'],
  ['what Rotor published', live(true), seen({ versionId: 'b' }), { versionId: 'b', stands: true }],
  ['a decision that nobody carried out', live(false, MARK), seen(), { versionId: 'b', stands: false }],
  ['one on an empty path', live(false, ''), seen({ mark: '' }), { versionId: 'b', stands: false }],
  ['one over our own', live(false, MARK), seen({ versionId: 'a' }), { versionId: 'b', stands: false }],
  [
    'one that was carried out, unconfirmed',
    live(false),
    seen({ versionId: 'b' }),
    { versionId: 'b', stands: true },
  ],
  ['one that somebody else was faster than', live(false), seen(), 'foreign'],
  ['a change by hand afterwards', live(true), seen(), 'foreign'],
  ['one that the store gives nobody back', live(true), seen({ readable: false }), 'foreign'],
  [
    'the previous one put back by hand',
    live(true),
    seen({ versionId: 'a' }),
    { versionId: 'a', stands: true },
  ],
])('%s', (_, decided, look, expected) => {
  const current = currentOf({ live: decided }, look);
  if (typeof expected === 'string') expect(current.is).toBe(expected);
  else expect(current).toEqual({ is: 'ours', ...expected });
});

test('a version of somebody else has the same id at every look, and another value another one', () => {
  const id = (mark: string) => {
    const current = currentOf({ live: undefined }, seen({ mark }));
    return current.is === 'foreign' ? current.versionId : undefined;
  };
  expect(id(MARK)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(id(MARK)).toBe(id(MARK));
  expect(id(OTHER)).not.toBe(id(MARK));
});

test.each([
  ['as recorded', seen({ versionId: 'b' }), ['a=previous', 'b=current', 'c=pending']],
  ['somebody else wrote', seen(), ['a=', 'b=previous', 'c=pending', `${versionIdOf('', MARK)}=current`]],
  ['emptied', seen({ mark: '' }), ['a=', 'b=previous', 'c=pending']],
  ['put back', seen({ versionId: 'a' }), ['a=current', 'b=previous', 'c=pending']],
])('stages when what stands there is: %s', (_, look, expected) => {
  const known = [version('a', 'previous'), version('b', 'current'), version('c', 'pending')];
  const stages = effective(known, currentOf({ live: live(true) }, look), look);
  expect(stages.map((each) => `${each.versionId}=${each.stages.join()}`)).toEqual(expected);
});
