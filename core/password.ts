import { z } from 'zod';
import { RotorError } from './errors.ts';
import type { Random } from './random.ts';
import { SecretValue } from './secret.ts';

const CLASSES = {
  lower: /[a-z]/,
  upper: /[A-Z]/,
  digit: /[0-9]/,
  symbol: /[^A-Za-z0-9]/,
} as const;
type CharacterClass = keyof typeof CLASSES;

/** Letters, digits and the marks that mean nothing to shells, URLs (RFC 3986, unreserved) and connection strings. */
const DEFAULT_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~';
const TRIES = 10_000;

/** How passwords are made: 32 characters of 66 by default, which is 193 bits. */
export const passwordRules = z.strictObject({
  length: z.int().min(12).max(1_024).default(32),
  alphabet: z
    .string()
    .min(2)
    .regex(/^[\x21-\x7e]+$/, 'needs printable ASCII characters without spaces')
    .default(DEFAULT_ALPHABET),
  exclude: z.string().default('').describe('Characters never to be used'),
  require: z
    .array(z.enum(['lower', 'upper', 'digit', 'symbol']))
    .default([])
    .describe('Classes of which each password has at least one character'),
});
export type PasswordRules = z.output<typeof passwordRules>;

/**
 * A password, each one that satisfies the rules equally likely: whole strings are drawn until one does, so that required
 * classes are neither placed nor counted with a bias.
 * @throws RotorError `random.impossible`
 */
export function generatePassword(rules: PasswordRules, random: Random): SecretValue {
  const characters = [...new Set(rules.alphabet)].filter((character) => !rules.exclude.includes(character));
  assertPossible(rules, characters);
  const bytes = Buffer.alloc(rules.length);
  for (let tries = 0; tries < TRIES; tries += 1) {
    for (let index = 0; index < bytes.length; index += 1) {
      bytes[index] = (characters[random.int(characters.length)] as string).charCodeAt(0);
    }
    const text = bytes.toString('latin1');
    if (rules.require.every((name) => CLASSES[name].test(text))) {
      const password = SecretValue.of(bytes);
      bytes.fill(0);
      return password;
    }
  }
  throw impossible(
    `no password of ${rules.length} characters with ${rules.require.join(', ')} came up in ${TRIES} tries`,
  );
}

function assertPossible(rules: PasswordRules, characters: readonly string[]): void {
  if (characters.length < 2) throw impossible('fewer than two characters are left in the alphabet');
  const missing = rules.require.filter(
    (name: CharacterClass) => !characters.some((character) => CLASSES[name].test(character)),
  );
  if (missing.length > 0) throw impossible(`the alphabet has no ${missing.join(', no ')}`);
}

function impossible(what: string): RotorError {
  return new RotorError('random.impossible', { what: `password rules: ${what}` });
}
