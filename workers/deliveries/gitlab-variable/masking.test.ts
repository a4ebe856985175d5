import { expect, test } from 'vitest';
import { unfit } from './masking.ts';

test.each([
  [{ masked: true, raw: true }, 'p|ss$w"rd', undefined],
  [{ masked: true, raw: true }, 'seven77', 'shorter than 8'],
  [{ masked: true, raw: true }, 'two words', 'blank or line break'],
  [{ masked: true, raw: true }, 'two\nlines', 'blank or line break'],
  [{ masked: true, raw: false }, 'aZ0_+=/@:.~-', undefined],
  [{ masked: true, raw: false }, 'password!', 'in raw variables only'],
  [{ masked: true, raw: false }, 'pass$word', 'would expand'],
  [{ masked: false, raw: false }, 'pass$word', 'would expand'],
  [{ masked: false, raw: true }, 'a b\n', undefined],
  [{ masked: false, raw: true }, 'x'.repeat(10_001), 'longer than the 10000'],
])('%o and %j: %s', (settings, value, why) => {
  const told = unfit(settings, value);
  if (why === undefined) expect(told).toBeUndefined();
  else {
    expect(told).toContain(why);
    expect(told).not.toContain(value);
  }
});
