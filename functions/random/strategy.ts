import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import { SecretValue } from '../../core/secret.ts';
import { jsonObject } from '../lambda/document.ts';
import { passwordRulesFrom } from '../lambda/environment.ts';
import type { Strategy } from '../lambda/strategy.ts';

/**
 * A generated value that no provider checks. A secret that is plain text is replaced as a whole, as AWS's template for
 * rotation functions does; in one that is JSON the field that SECRET_FIELD names, and all others stay.
 */
export const randomStrategy: Strategy = {
  async create({ env, call, secretId }, current) {
    const document = jsonObject(current);
    const field = env.SECRET_FIELD || undefined;
    if (document && field === undefined) {
      throw new RotorError('config.invalid', {
        what: `secret ${secretId} is JSON, and nobody says which of its fields is to be replaced`,
        hint: 'Set SECRET_FIELD to the name of the field.',
      });
    }
    if (field !== undefined && typeof document?.[field] !== 'string') {
      throw new RotorError('config.invalid', {
        what: `SECRET_FIELD: secret ${secretId} has no field of this name that holds text`,
      });
    }
    const value = generatePassword(passwordRulesFrom(env), call.random);
    if (!document || field === undefined) return value;
    return SecretValue.of(JSON.stringify({ ...document, [field]: value.reveal() }));
  },
  // Nobody checks it, so there is nobody to tell and nobody to ask.
  set: async () => undefined,
  test: async () => undefined,
};
