import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { RotorError } from '../../core/errors.ts';
import { WorkQueue } from './work-queue.ts';

function queueOf(work: (key: string) => Promise<void>, width = 2) {
  const errors: RotorError[] = [];
  const queue = new WorkQueue({
    work,
    failed: (_key, error) => errors.push(error),
    clock: systemClock,
    random: { int: () => 0, uuid: () => '' },
    width,
    gatherMs: 5,
  });
  onTestFinished(() => queue.stop());
  return { queue, errors };
}

test('what comes together is done in one go, and what comes meanwhile afterwards, never twice at once', async () => {
  const done: string[] = [];
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const { queue } = queueOf(async (key) => {
    running += 1;
    most = Math.max(most, running);
    await gate.promise;
    running -= 1;
    done.push(key);
  });
  for (let times = 0; times < 5; times += 1) queue.add('a');
  await expect.poll(() => running).toBe(1);
  queue.add('a');
  queue.add('a');
  gate.resolve();
  await expect.poll(() => done).toEqual(['a', 'a']);
  expect(most).toBe(1);
});

test('several keys are worked on at once, but not more than its width', async () => {
  const working = new Set<string>();
  const gate = Promise.withResolvers<void>();
  const done: string[] = [];
  const { queue } = queueOf(async (key) => {
    working.add(key);
    await gate.promise;
    working.delete(key);
    done.push(key);
  });
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await expect.poll(() => [...working]).toEqual(['a', 'b']);
  gate.resolve();
  await expect.poll(() => done.toSorted()).toEqual(['a', 'b', 'c']);
});

test('a key that fails is tried again, and holds up no other', async () => {
  const tries: string[] = [];
  const { queue, errors } = queueOf(async (key) => {
    tries.push(key);
    if (key === 'bad' && tries.filter((each) => each === 'bad').length === 1) throw new Error('secret text');
  }, 1);
  queue.add('bad');
  queue.add('good');
  await expect.poll(() => tries, { timeout: 10_000 }).toEqual(['bad', 'good', 'bad']);
  expect(errors.map(({ message }) => message)).toEqual(['reconciling bad: unexpected Error']);
});

test('after stop nothing begins, and what ran has ended', async () => {
  const ended: string[] = [];
  const began = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { queue } = queueOf(async (key) => {
    began.resolve();
    await gate.promise;
    ended.push(key);
  });
  queue.add('a');
  await began.promise;
  queue.add('b', 60_000);
  const stopped = queue.stop();
  gate.resolve();
  await stopped;
  expect(ended).toEqual(['a']);
});
