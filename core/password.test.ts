import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededNumbers } from '../test/setup/seeded.ts';
import { generatePassword, passwordRules } from './password.ts';
import { cryptoRandom } from './random.ts';

test('a password keeps every rule it was made by', () => {
  const classes = fc.uniqueArray(fc.constantFrom('lower', 'upper', 'digit', 'symbol'));
  fc.assert(
    fc.property(
      fc.integer({ min: 12, max: 200 }),
      classes,
      fc.string({ maxLength: 5 }),
      (length, require, exclude) => {
        const rules = passwordRules.parse({ length, require, exclude: exclude.replace(/[-_.~]/g, '') });
        const password = generatePassword(rules, cryptoRandom).reveal();
        expect(password).toHaveLength(length);
        for (const character of password) {
          expect(rules.alphabet).toContain(character);
          expect(rules.exclude).not.toContain(character);
        }
        if (rules.require.includes('digit')) expect(password).toMatch(/\d/);
        if (rules.require.includes('symbol')) expect(password).toMatch(/[^A-Za-z0-9]/);
      },
    ),
  );
});

test('every character is as likely at every place, required classes or not', () => {
  const rules = passwordRules.parse({ length: 12, alphabet: 'abcdef01', require: ['digit'] });
  const counts = Array.from({ length: 12 }, () => new Map<string, number>());
  const random = seededNumbers(1);
  const draws = 20_000;
  for (let draw = 0; draw < draws; draw += 1) {
    [...generatePassword(rules, random).reveal()].forEach((character, place) => {
      counts[place]?.set(character, (counts[place]?.get(character) ?? 0) + 1);
    });
  }
  // Chi-square with 7 degrees of freedom; conditioning on one digit in twelve shifts each place alike and little.
  for (const place of counts) {
    const letters = [...'abcdef'].map((character) => place.get(character) ?? 0);
    const mean = letters.reduce((sum, count) => sum + count, 0) / letters.length;
    const chiSquare = letters.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    expect(chiSquare).toBeLessThan(25);
  }
});

test('of all strings that satisfy the rules each comes up as often as any other', () => {
  // Shorter than manifests may ask for, so that all of them can be counted: 4^3 strings less 2^3 without a digit.
  const rules = { ...passwordRules.parse({}), length: 3, alphabet: 'ab01', require: ['digit' as const] };
  const counts = new Map<string, number>();
  const random = seededNumbers(7);
  const draws = 56_000;
  for (let draw = 0; draw < draws; draw += 1) {
    const password = generatePassword(rules, random).reveal();
    counts.set(password, (counts.get(password) ?? 0) + 1);
  }
  expect(counts.size).toBe(56);
  const expected = draws / 56;
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 55 degrees of freedom: a fair source exceeds 98 once in ten thousand times, placing a digit first always does.
  expect(chiSquare).toBeLessThan(98);
});

test('the default is worth at least 128 bits and means nothing to shells, URLs and connection strings', () => {
  const { length, alphabet } = passwordRules.parse({});
  expect(length * Math.log2(new Set(alphabet).size)).toBeGreaterThan(128);
  expect(encodeURIComponent(alphabet)).toBe(alphabet);
  expect(alphabet).toMatch(/^[\w.~-]+$/);
});

test.each([
  ['lower', /[a-z]/],
  ['upper', /[A-Z]/],
  ['digit', /\d/],
  ['symbol', /[^A-Za-z0-9]/],
] as const)('a required %s is there even where the alphabet has but one', (name, pattern) => {
  const one = { lower: 'x', upper: 'X', digit: '7', symbol: '-' }[name];
  const others = name === 'upper' ? 'abcdefghijklm' : 'ABCDEFGHIJKLM';
  const rules = passwordRules.parse({ length: 12, alphabet: others + one, require: [name] });
  for (let draw = 0; draw < 200; draw += 1)
    expect(generatePassword(rules, cryptoRandom).reveal()).toMatch(pattern);
});

test.each([
  [{ alphabet: 'abc', require: ['digit'] }, 'no digit'],
  [{ alphabet: 'ab', exclude: 'b' }, 'fewer than two'],
])('rules that nothing satisfies are refused: %j', (rules, why) => {
  expect(() => generatePassword(passwordRules.parse(rules), cryptoRandom)).toThrow(why);
});
