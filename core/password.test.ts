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

test.each([
  [{ alphabet: 'abc', require: ['digit'] }, 'no digit'],
  [{ alphabet: 'ab', exclude: 'b' }, 'fewer than two'],
])('rules that nothing satisfies are refused: %j', (rules, why) => {
  expect(() => generatePassword(passwordRules.parse(rules), cryptoRandom)).toThrow(why);
});
