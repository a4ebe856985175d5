import { RotorError } from '../../core/errors.ts';
import type { Rotator } from '../rotator.ts';
import { alternatingUsers } from './alternating-users.ts';
import { singleUser } from './single-user.ts';
import { type CredentialSpec, credentialSpec, type ProviderSpec, providerSpec } from './spec.ts';

/** PostgreSQL roles (12 and later), by turns of two users or by replacing one user's password. docs/postgres.md. */
export const postgresRotator: Rotator<ProviderSpec, CredentialSpec> = {
  kind: 'postgres',
  provider: providerSpec,
  credential: credentialSpec,
  open: (provider, credential) => {
    if (!provider)
      throw new RotorError('manifest.invalid', { what: 'a postgres credential needs a provider' });
    return credential.mode === 'single-user'
      ? singleUser(provider, credential)
      : alternatingUsers(provider, credential);
  },
};
