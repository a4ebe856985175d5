import { expect, test } from 'vitest';
import { Household } from './household.ts';

test('what was started is stopped in reverse order, whatever happens to the others', async () => {
  const household = new Household();
  const stopped: string[] = [];
  for (const name of ['first', 'second', 'third'])
    await household.add(
      async () => name,
      (it) => {
        stopped.push(it);
        if (it === 'second') throw new Error('does not want to');
      },
    );
  expect((await household.end()).map(({ message }) => message)).toEqual(['does not want to']);
  expect(stopped).toEqual(['third', 'second', 'first']);
});

test('what still starts when the end comes is stopped once it has started', async () => {
  const household = new Household();
  const starting = Promise.withResolvers<string>();
  const stopped: string[] = [];
  const adding = household.add(
    () => starting.promise,
    (it) => stopped.push(it),
  );
  const ending = household.end();
  expect(stopped).toEqual([]);
  starting.resolve('late');
  await ending;
  expect(stopped).toEqual(['late']);
  expect(await adding).toBe('late');
});

test('what failed to start is not stopped, and after the end nothing is started', async () => {
  const household = new Household();
  const failing = household.add(
    () => Promise.reject(new Error('no port')),
    () => expect.unreachable(),
  );
  await expect(failing).rejects.toThrow('no port');
  expect(await household.end()).toEqual([]);
  await expect(
    household.add(
      () => expect.unreachable(),
      () => expect.unreachable(),
    ),
  ).rejects.toThrow('the end has begun');
});
