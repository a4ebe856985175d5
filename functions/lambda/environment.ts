import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import type { PasswordRules } from '../../core/password.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
/** The punctuation of GetRandomPassword, by its API reference. */
const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
const EXCLUDED = ':/@"\'\\';

const length = z.coerce.number().int().min(4).max(4_096);

/**
 * The rules for new passwords, from the variables that AWS's own rotation functions read, with their defaults:
 * 32 characters, one of each class at least, none of `:/@"'\`. The password is drawn here with the same rules instead of
 * asking GetRandomPassword, so that it is never in an answer on the network and needs no permission.
 * @throws RotorError `config.invalid`
 */
export function passwordRulesFrom(env: Environment): PasswordRules {
  const given = length.safeParse(env.PASSWORD_LENGTH || '32');
  if (!given.success)
    throw new RotorError('config.invalid', { what: 'PASSWORD_LENGTH: needs a whole number from 4 to 4096' });
  const classes = [
    { name: 'lower', characters: LOWER, without: 'EXCLUDE_LOWERCASE' },
    { name: 'upper', characters: LOWER.toUpperCase(), without: 'EXCLUDE_UPPERCASE' },
    { name: 'digit', characters: DIGITS, without: 'EXCLUDE_NUMBERS' },
    { name: 'symbol', characters: PUNCTUATION, without: 'EXCLUDE_PUNCTUATION' },
  ] as const;
  const included = classes.filter(({ without }) => !isYes(env[without], false));
  return {
    length: given.data,
    alphabet: included.map(({ characters }) => characters).join(''),
    // An empty one is a choice: nothing is excluded.
    exclude: env.EXCLUDE_CHARACTERS ?? EXCLUDED,
    require: isYes(env.REQUIRE_EACH_INCLUDED_TYPE, true) ? included.map(({ name }) => name) : [],
  };
}

/** As AWS's functions read it: everything else counts as no. */
function isYes(text: string | undefined, otherwise: boolean): boolean {
  return text === undefined ? otherwise : ['true', '1', 'y', 'yes'].includes(text.toLowerCase());
}
