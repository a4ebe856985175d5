import { expect, test } from 'vitest';
import { coalesce, type Turn, type Wish, wishesOf } from './coalescing.ts';

const now = new Date('2026-01-01T00:00:10Z');
const ago = (ms: number) => new Date(now.getTime() - ms);
const mine = { annotation: 'secret.rotor.dev/a', version: 'v2' };
const my = (since: Date, version = 'v2'): Wish => ({ ...mine, version, since });
const other: Wish = { annotation: 'secret.rotor.dev/b', version: 'w5', since: ago(1) };

test.each<[string, readonly Wish[], number, Turn]>([
  ['without a window, at once', [], 0, { do: 'roll', others: [] }],
  ['without a window, those of others come along', [other], 0, { do: 'roll', others: [other] }],
  ['first it is wished', [other], 1_000, { do: 'wish', value: 'v2@2026-01-01T00:00:10.000Z' }],
  [
    'a wish for an earlier version is replaced',
    [my(ago(5_000), 'v1')],
    1_000,
    { do: 'wish', value: 'v2@2026-01-01T00:00:10.000Z' },
  ],
  ['within the window others may join', [my(ago(400))], 1_000, { do: 'wait', forMs: 600 }],
  ['after it, all at once', [my(ago(1_000)), other], 1_000, { do: 'roll', others: [other] }],
  [
    'a clock that was set back holds it up no longer than the window',
    [my(ago(-60_000))],
    1_000,
    { do: 'wait', forMs: 1_000 },
  ],
])('%s', (_what, wishes, windowMs, expected) => {
  expect(coalesce(wishes, mine, windowMs, now)).toEqual(expected);
});

test('wishes are read from the annotations of the workload, and nothing else is taken for one', () => {
  const annotations = {
    'pending.secret.rotor.dev/a': 'v2@2026-01-01T00:00:00.000Z',
    'pending.secret.rotor.dev/odd@name': 'v@1@2026-01-01T00:00:00.000Z',
    'pending.secret.rotor.dev/b': 'v2',
    'pending.secret.rotor.dev/c': 'v2@soon',
    'previous.secret.rotor.dev/a': 'v1',
    'secret.rotor.dev/a': 'v1',
  };
  expect(wishesOf({ metadata: { annotations } })).toEqual([
    { annotation: 'secret.rotor.dev/a', version: 'v2', since: new Date('2026-01-01T00:00:00Z') },
    { annotation: 'secret.rotor.dev/odd@name', version: 'v@1', since: new Date('2026-01-01T00:00:00Z') },
  ]);
});
