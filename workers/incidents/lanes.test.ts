import { expect, test } from 'vitest';
import { FakeClock } from '../../core/clock.ts';
import { type Lanes, workThrough } from './lanes.ts';

const nothing = { width: 3, freshMs: 1_000, clock: new FakeClock(), leave: async () => undefined };

/** Gives out the numbers from 0 on. */
function numbers(count: number): Lanes<number>['take'] {
  let next = 0;
  return async (limit) => {
    const some = Array.from({ length: Math.min(limit, count - next) }, (_, index) => next + index);
    next += some.length;
    return some;
  };
}

test('everything is worked on once, never more at once than there are lanes', async () => {
  const seen: number[] = [];
  let atOnce = 0;
  let most = 0;
  await workThrough({
    ...nothing,
    take: numbers(20),
    work: async (item) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await Promise.resolve();
      seen.push(item);
      atOnce -= 1;
      return true;
    },
  });
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(most).toBe(3);
});

test('one that hangs keeps its own lane only', async () => {
  const hanging = Promise.withResolvers<boolean>();
  const others = Promise.withResolvers<void>();
  let done = 0;
  const all = workThrough({
    ...nothing,
    take: numbers(20),
    work: async (item) => {
      if (item === 1) return hanging.promise;
      done += 1;
      if (done === 19) others.resolve();
      return true;
    },
  });
  await others.promise;
  hanging.resolve(false);
  await all;
  expect(done).toBe(19);
});

test('where every lane has failed and nothing succeeded, no more is taken, and what was taken is left to others', async () => {
  const tried: number[] = [];
  const left: number[] = [];
  const take = numbers(20);
  await workThrough({
    ...nothing,
    // More than there are lanes, so that some wait.
    take: (limit) => take(limit + 10),
    work: async (item) => {
      tried.push(item);
      return false;
    },
    leave: async (item) => {
      left.push(item);
    },
  });
  // Those that had begun when the third failed may have failed as well.
  expect(tried.length).toBeLessThanOrEqual(5);
  expect([...tried, ...left]).toEqual(Array.from({ length: 13 }, (_, index) => index));
});

test('failures among successes stop nobody', async () => {
  let tried = 0;
  await workThrough({
    ...nothing,
    take: numbers(20),
    work: async (item) => {
      tried += 1;
      return item === 0;
    },
  });
  expect(tried).toBe(20);
});

test('what has waited too long for its turn is left to others, whose lease it may be by now', async () => {
  const clock = new FakeClock();
  const left: number[] = [];
  const take = numbers(2);
  await workThrough({
    ...nothing,
    width: 1,
    clock,
    take: (limit) => take(limit + 1),
    work: async () => {
      clock.advance(2_000);
      return true;
    },
    leave: async (item) => {
      left.push(item);
    },
  });
  expect(left).toEqual([1]);
});
