import { expect, test } from 'vitest';
import { jsonIn, jsonObjectIn } from './json.ts';

test.each([
  ['{"a":1}', { a: 1 }, { a: 1 }],
  ['[1]', [1], undefined],
  ['null', null, undefined],
  ['"x"', 'x', undefined],
  ['{"a":', undefined, undefined],
  ['', undefined, undefined],
])('%s', (text, value, object) => {
  expect(jsonIn(text)).toEqual(value);
  expect(jsonObjectIn(text)).toEqual(object);
});
