import { z } from 'zod';
import { mountPath, vaultServer } from '../../core/vault/server.ts';
import { providerSpec as postgres } from '../postgres/spec.ts';

/** Schema of `Provider.spec.vaultDatabase`. */
export const providerSpec = z.strictObject({
  ...vaultServer,
  /** Where the database secrets engine is mounted. */
  mount: mountPath.default('database'),
  postgres: postgres.describe(
    'The database behind it, where Rotor tries each credential; its `admin` only sees and ends sessions',
  ),
});
export type ProviderSpec = z.output<typeof providerSpec>;

/** Schema of `RotationPolicy.spec.credential.vaultDatabase`. */
export const credentialSpec = z.strictObject({
  staticRole: z.string().regex(/^\w(([\w.-]+)?\w)?$/, "must be a name of a role in Vault's database engine"),
  acknowledgeNoOverlap: z
    .literal(true)
    .describe(
      'Vault replaces the password at once: logins with the old one are refused until each consumer has reloaded, and nothing leads back',
    ),
});
export type CredentialSpec = z.output<typeof credentialSpec>;
