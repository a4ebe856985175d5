import { RotorError } from '../../core/errors.ts';
import type { Rotator } from '../rotator.ts';
import { type CredentialSpec, credentialSpec, type ProviderSpec, providerSpec } from './spec.ts';
import { staticRole } from './static-role.ts';

/** Static roles of Vault's database secrets engine: Vault makes and sets the password. docs/vault.md. */
export const vaultDatabaseRotator: Rotator<ProviderSpec, CredentialSpec> = {
  kind: 'vaultDatabase',
  provider: providerSpec,
  credential: credentialSpec,
  open(provider, credential) {
    if (!provider)
      throw new RotorError('manifest.invalid', { what: 'a vaultDatabase credential needs a provider' });
    return staticRole(provider, credential);
  },
};
