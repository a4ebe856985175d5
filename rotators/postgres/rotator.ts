import { RotorError } from '../../core/errors.ts';
import type { Rotator, RotatorSession } from '../rotator.ts';
import { AdminPool } from './admin-pool.ts';
import { alternatingUsers } from './alternating-users.ts';
import { singleUser } from './single-user.ts';
import { type CredentialSpec, credentialSpec, type ProviderSpec, providerSpec } from './spec.ts';

/** PostgreSQL roles (12 and later), by turns of two users or by replacing one user's password. docs/postgres.md. */
export const postgresRotator: Rotator<ProviderSpec, CredentialSpec> = {
  kind: 'postgres',
  provider: providerSpec,
  credential: credentialSpec,
  open: (provider, credential) => open(provider, credential),
  sharing: () => {
    const pool = new AdminPool();
    return {
      open: (provider, credential) => open(provider, credential, pool),
      close: () => pool.close(),
    };
  },
};

function open(
  provider: ProviderSpec | undefined,
  credential: CredentialSpec,
  pool?: AdminPool,
): RotatorSession {
  if (!provider) throw new RotorError('manifest.invalid', { what: 'a postgres credential needs a provider' });
  return credential.mode === 'single-user'
    ? singleUser(provider, credential, pool)
    : alternatingUsers(provider, credential, pool);
}
