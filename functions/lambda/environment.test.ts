import { expect, test } from 'vitest';
import { generatePassword } from '../../core/password.ts';
import { cryptoRandom } from '../../core/random.ts';
import { passwordRulesFrom } from './environment.ts';

const made = (env: Record<string, string>) => generatePassword(passwordRulesFrom(env), cryptoRandom).reveal();

test("without variables a password is as AWS's functions make it: 32 characters of all classes, none that breaks a URL", () => {
  for (let time = 0; time < 50; time += 1) {
    const password = made({});
    expect(password).toMatch(/^[!-~]{32}$/);
    expect(password).not.toMatch(/[:/@"'\\]/);
    for (const each of [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(password).toMatch(each);
  }
});

test.each([
  [{ PASSWORD_LENGTH: '64' }, /^.{64}$/],
  [{ EXCLUDE_PUNCTUATION: 'true' }, /^[A-Za-z0-9]{32}$/],
  [{ EXCLUDE_PUNCTUATION: 'Yes', EXCLUDE_NUMBERS: '1', EXCLUDE_UPPERCASE: 'y' }, /^[a-z]{32}$/],
  [{ EXCLUDE_LOWERCASE: 'TRUE', EXCLUDE_PUNCTUATION: 'true' }, /^[A-Z0-9]{32}$/],
  [{ EXCLUDE_CHARACTERS: 'abcdefghijklm', EXCLUDE_PUNCTUATION: 'true' }, /^[n-zA-Z0-9]{32}$/],
  // Whatever isn't a yes is a no, as there.
  [{ EXCLUDE_PUNCTUATION: 'on', PASSWORD_LENGTH: '40' }, /^[!-~]{40}$/],
])('%j makes %s', (env, form) => {
  for (let time = 0; time < 20; time += 1) expect(made(env as Record<string, string>)).toMatch(form);
});

test('each included class is required, unless the variable says no', () => {
  expect(passwordRulesFrom({ EXCLUDE_NUMBERS: 'true' }).require).toEqual(['lower', 'upper', 'symbol']);
  expect(passwordRulesFrom({ REQUIRE_EACH_INCLUDED_TYPE: 'false' }).require).toEqual([]);
});

test.each(['3', '5000', 'many', '12.5'])('a length of %s is refused by the name of its variable', (text) => {
  expect(() => passwordRulesFrom({ PASSWORD_LENGTH: text })).toThrow(
    expect.objectContaining({ code: 'config.invalid', message: expect.stringContaining('PASSWORD_LENGTH') }),
  );
});
