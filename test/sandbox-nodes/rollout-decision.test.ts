import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  planProportional,
  planRecreate,
  planRollout,
  resolveBounds,
  type ScaleFacts,
} from '../../sandbox/controllers/rollout-decision.ts';

const set = (name: string, replicas: number, available = replicas, created = 0): ScaleFacts => ({
  name,
  replicas,
  available,
  created,
});

describe('bounds of a rolling update', () => {
  it.each([
    [10, { maxSurge: '25%', maxUnavailable: '25%' }, { maxSurge: 3, maxUnavailable: 2 }],
    [1, { maxSurge: '25%', maxUnavailable: '25%' }, { maxSurge: 1, maxUnavailable: 0 }],
    [4, undefined, { maxSurge: 1, maxUnavailable: 1 }],
    [4, { maxSurge: 0, maxUnavailable: 0 }, { maxSurge: 0, maxUnavailable: 1 }],
    [2, { maxSurge: '0%', maxUnavailable: '10%' }, { maxSurge: 0, maxUnavailable: 1 }],
    [2, { maxSurge: 2, maxUnavailable: 5 }, { maxSurge: 2, maxUnavailable: 2 }],
  ])('of %i replicas with %j are %j', (replicas, given, expected) => {
    expect(resolveBounds(replicas, given)).toEqual(expected);
  });
});

describe('the next step of a rolling update', () => {
  const plan = (fresh: ScaleFacts, old: ScaleFacts[], maxSurge = 1, maxUnavailable = 1, replicas = 4) =>
    planRollout({ replicas, maxSurge, maxUnavailable, fresh, old });

  it.each([
    ['grows the new set as far as the surge allows', set('new', 0), [set('old', 4)], [['new', 1]]],
    ['takes an old pod away while enough are left', set('new', 1, 0), [set('old', 4)], [['old', 3]]],
    ['waits while too few would be left', set('new', 2, 0), [set('old', 3)], []],
    ['goes on as new pods become available', set('new', 2, 1), [set('old', 3)], [['old', 2]]],
    ['ends with no old pods', set('new', 4), [set('old', 1)], [['old', 0]]],
    ['does nothing when all is done', set('new', 4), [set('old', 0)], []],
    [
      'takes broken old pods first, of the oldest set first',
      set('new', 1, 0),
      [set('b', 2, 2, 2), set('a', 2, 1, 1)],
      [['a', 1]],
    ],
  ] as const)('%s', (_, fresh, old, expected) => {
    expect(plan(fresh, [...old]).map(({ name, replicas }) => [name, replicas])).toEqual(expected);
  });

  it('never leaves the bounds, and always arrives, in whatever order pods become available', () => {
    const scenario = fc.record({
      replicas: fc.integer({ min: 1, max: 12 }),
      maxSurge: fc.integer({ min: 0, max: 4 }),
      maxUnavailable: fc.integer({ min: 0, max: 4 }),
      picks: fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }),
    });
    fc.assert(
      fc.property(scenario, ({ replicas, picks, ...given }) => {
        const bounds = resolveBounds(replicas, given);
        let fresh = set('new', 0);
        let old = set('old', replicas);
        for (const pick of [...picks, ...Array(100).fill(true)]) {
          if (pick) fresh = { ...fresh, available: Math.min(fresh.replicas, fresh.available + 1) };
          for (const { name, replicas: wanted } of planRollout({ replicas, ...bounds, fresh, old: [old] })) {
            if (name === 'new') fresh = { ...fresh, replicas: wanted };
            else old = set('old', wanted);
          }
          expect(fresh.replicas + old.replicas).toBeLessThanOrEqual(replicas + bounds.maxSurge);
          expect(fresh.available + old.available).toBeGreaterThanOrEqual(replicas - bounds.maxUnavailable);
        }
        expect([fresh.replicas, old.replicas]).toEqual([replicas, 0]);
      }),
    );
  });
});

describe('Recreate', () => {
  const facts = (fresh: number, old: number) => ({
    replicas: 2,
    fresh: set('new', fresh),
    old: [set('old', old)],
  });
  it.each([
    ['ends the old set first', facts(0, 2), 2, [{ name: 'old', replicas: 0 }]],
    ['waits for old pods that are still going away', facts(0, 0), 1, []],
    ['then starts the new set', facts(0, 0), 0, [{ name: 'new', replicas: 2 }]],
    ['is done', facts(2, 0), 0, []],
  ])('%s', (_, given, pods, expected) => {
    expect(planRecreate(given, pods)).toEqual(expected);
  });
});

describe('scaling in the middle of a rollout', () => {
  it.each([
    [[set('a', 8, 8, 1), set('b', 2, 2, 2)], 20, { a: 16, b: 4 }],
    [[set('a', 3, 3, 1), set('b', 2, 2, 2)], 6, { a: 4, b: 2 }],
    [[set('a', 3, 3, 1), set('b', 2, 2, 2)], 0, { a: 0, b: 0 }],
  ])('spreads %j over %i', (sets, allowed, expected) => {
    const after = Object.fromEntries(sets.map(({ name, replicas }) => [name, replicas]));
    for (const { name, replicas } of planProportional(sets, allowed)) after[name] = replicas;
    expect(after).toEqual(expected);
  });
});
