import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Mover, nextTurn, type Turn } from './waves.ts';

const W = { waiting: 'w', moving: 'm', proven: 'p' } as const;

/** `w0 m0 p1`: state and wave of each. */
function movers(text: string): Mover[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const state = (Object.keys(W) as (keyof typeof W)[]).find((each) => W[each] === word[0]) ?? 'waiting';
      return { state, wave: Number(word.slice(1)) };
    });
}

const move = (...which: number[]): Turn => ({ do: 'move', which });

describe('who moves now', () => {
  test.each<[string, string, number, Turn]>([
    ['nobody', '', 1, { do: 'done' }],
    ['all proven', 'p0 p1', 1, { do: 'done' }],
    ['the first, one at a time', 'w0 w0', 1, move(0)],
    ['the one that moves, and no other', 'w0 m0', 1, move(1)],
    ['the next one', 'p0 w0', 1, move(1)],
    ['as many as allowed', 'w0 w0 w0', 2, move(0, 1)],
    ['one more beside one that moves', 'm0 p0 w0 w0', 2, move(0, 2)],
    ['only the first wave', 'w1 w0 w1', 9, move(1)],
    ['no later wave while one of the first moves', 'm0 p0 w1', 9, move(0)],
    ['the second wave', 'p0 p0 w1 w2', 9, move(2)],
    ['one that appeared late in an earlier wave, beside one that moves', 'p0 m1 w0', 2, move(1, 2)],
    ['one that appeared late waits when there is no room', 'p0 m1 w0', 1, move(1)],
  ])('%s', (_what, text, maxMoving, expected) => {
    expect(nextTurn(movers(text), { maxMoving, pauseMs: 0 }, 'forward', () => undefined)).toEqual(expected);
  });

  test('on the way back the last go first, in reverse order', () => {
    const back = (text: string, maxMoving: number) =>
      nextTurn(movers(text), { maxMoving, pauseMs: 60_000 }, 'back', () => undefined);
    expect(back('w0 w1 w1', 1)).toEqual(move(2));
    expect(back('w0 w1 p1', 1)).toEqual(move(1));
    expect(back('w0 p1 p1', 9)).toEqual(move(0));
  });
});

describe('the pause between waves', () => {
  const at = (text: string, paused: number | undefined) =>
    nextTurn(movers(text), { maxMoving: 9, pauseMs: 1_000 }, 'forward', () => paused);
  test('begins when a wave is proven, lasts, and ends', () => {
    expect(at('p0 w1', undefined)).toEqual({ do: 'pause', wave: 1, forMs: 1_000, begins: true });
    expect(at('p0 w1', 400)).toEqual({ do: 'pause', wave: 1, forMs: 600, begins: false });
    expect(at('p0 w1', 1_000)).toEqual(move(1));
  });
  test('is not before the first wave, nor within one, nor at the end', () => {
    expect(at('w0 w1', undefined)).toEqual(move(0));
    expect(at('p0 m1 w1', undefined)).toEqual(move(1, 2));
    expect(at('p0 p1', undefined)).toEqual({ do: 'done' });
  });
});

test('whatever takes how long: never more than allowed, no wave before its time, and all arrive', () => {
  const plan = fc.record({
    waves: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }),
    takes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 12, maxLength: 12 }),
    maxMoving: fc.integer({ min: 1, max: 5 }),
    going: fc.constantFrom('forward' as const, 'back' as const),
    // A worker that takes over knows nothing of what another has begun.
    forgetsAt: fc.integer({ min: 0, max: 30 }),
  });
  fc.assert(
    fc.property(plan, ({ waves, takes, maxMoving, going, forgetsAt }) => {
      const left = waves.map((_wave, index) => takes[index] ?? 1);
      const begun = new Set<number>();
      let states: Mover['state'][] = waves.map(() => 'waiting');
      for (let look = 0; look < 200; look += 1) {
        if (look === forgetsAt) states = waves.map(() => 'waiting');
        const all = waves.map((wave, index) => ({ wave, state: states[index] ?? 'waiting' }));
        const turn = nextTurn(all, { maxMoving, pauseMs: 0 }, going, () => undefined);
        if (turn.do === 'done') {
          expect(left.every((each) => each === 0)).toBe(true);
          return;
        }
        if (turn.do !== 'move') throw new Error('no pause was asked for');
        expect(turn.which.length).toBeGreaterThan(0);
        for (const index of turn.which) {
          begun.add(index);
          left[index] = Math.max(0, (left[index] ?? 0) - 1);
          states[index] = left[index] === 0 ? 'proven' : 'moving';
        }
        const onTheirWay = [...begun].filter((index) => (left[index] ?? 0) > 0);
        expect(onTheirWay.length).toBeLessThanOrEqual(maxMoving);
        const ahead = (a: number, b: number) => (going === 'forward' ? a < b : a > b);
        for (const index of begun)
          for (const [other, wave] of waves.entries())
            if (ahead(wave, waves[index] ?? 0)) expect(left[other]).toBe(0);
      }
      throw new Error('it never ended');
    }),
  );
});
