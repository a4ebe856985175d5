import { z } from 'zod';
import { SecretValue } from './secret.ts';

/** Version of GitHub's REST API that is spoken (docs.github.com, "API versions"). */
const VERSION = '2022-11-28';

/** Names as GitHub has them (those of managed users hold an underscore): nothing that could lead to another path. */
export const githubOwner = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, { error: 'must be the name of an owner' });
export const githubRepository = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,100}$/, { error: 'must be the name of a repository, without its owner' })
  .refine((name) => !/^\.{1,2}$/.test(name), { error: 'must be the name of a repository' });

/** Headers of a request to GitHub's REST API, which refuses those that don't say who asks. */
export function githubHeaders(token: SecretValue): Readonly<Record<string, string | SecretValue>> {
  return {
    accept: 'application/vnd.github+json',
    authorization: SecretValue.of(`Bearer ${token.reveal()}`),
    'user-agent': 'rotor',
    'x-github-api-version': VERSION,
  };
}
