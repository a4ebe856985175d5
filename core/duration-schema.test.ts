import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { duration } from './duration-schema.ts';

test('durations are in milliseconds', () => {
  expect(duration().parse('1h30m')).toBe(5_400_000);
});

test.each([
  ['soon', undefined, 'needs a duration such as "90s", "1h30m" or "30d"'],
  [5, undefined, 'needs a duration such as "90s", "1h30m" or "30d"'],
  ['1s', { min: 2_000 }, 'needs to be at least 2s'],
  ['1h', { max: 60_000 }, 'needs to be at most 1m'],
  ['999999999999w', undefined, 'is too long a duration'],
])('%j within %j is refused', (value, bounds, message) => {
  expect(
    duration(bounds)
      .safeParse(value)
      .error?.issues.map((issue) => issue.message),
  ).toEqual([message]);
});

test('what is refused is never repeated', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12 }), (text) => {
      const message = duration().safeParse(text).error?.message ?? '';
      expect(message.includes(text)).toBe(false);
    }),
  );
});

test('editors see the form', () => {
  expect(z.toJSONSchema(duration(), { io: 'input' })).toMatchObject({ type: 'string' });
});
