import { z } from 'zod';
import { generatePassword } from '../../core/password.ts';
import type { Random } from '../../core/random.ts';
import type { SecretValue } from '../../core/secret.ts';
import { ApiRefusal } from './refusal.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';

/** Parameters of GetRandomPassword, with the defaults of AWS's reference. */
export const randomPasswordRequest = z.object({
  PasswordLength: z.int().min(1).max(4_096).default(32),
  ExcludeCharacters: z.string().max(4_096).default(''),
  ExcludeNumbers: z.boolean().default(false),
  ExcludePunctuation: z.boolean().default(false),
  ExcludeUppercase: z.boolean().default(false),
  ExcludeLowercase: z.boolean().default(false),
  IncludeSpace: z.boolean().default(false),
  RequireEachIncludedType: z.boolean().default(true),
});

/** @throws ApiRefusal when no password can be like that */
export function randomPassword(asked: z.output<typeof randomPasswordRequest>, random: Random): SecretValue {
  const classes = [
    { name: 'lower', characters: LOWER, without: asked.ExcludeLowercase },
    { name: 'upper', characters: LOWER.toUpperCase(), without: asked.ExcludeUppercase },
    { name: 'digit', characters: '0123456789', without: asked.ExcludeNumbers },
    { name: 'symbol', characters: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', without: asked.ExcludePunctuation },
  ] as const;
  const included = classes.filter(({ without }) => !without);
  try {
    return generatePassword(
      {
        length: asked.PasswordLength,
        alphabet: included.map(({ characters }) => characters).join('') + (asked.IncludeSpace ? ' ' : ''),
        exclude: asked.ExcludeCharacters,
        require: asked.RequireEachIncludedType ? included.map(({ name }) => name) : [],
      },
      random,
    );
  } catch {
    throw new ApiRefusal('InvalidParameterException', 'No password can satisfy these parameters.');
  }
}
