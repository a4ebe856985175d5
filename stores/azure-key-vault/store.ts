import type { SecretClient } from '@azure/keyvault-secrets';
import { clientsOf } from '../../core/clients.ts';
import type { Store } from '../store.ts';
import { Names } from './names.ts';
import { KeyVaultSession } from './session.ts';
import { isLoopback, type KeyVaultSpec, keyVaultSpec, MAX_BYTES } from './spec.ts';

/** Versions in secrets of an Azure Key Vault. */
export function azureKeyVaultStore(): Store<KeyVaultSpec> {
  const clients = clientsOf<Pick<KeyVaultSpec, 'vaultUrl' | 'tenantId' | 'clientId'>, SecretClient>(connect);
  return {
    kind: 'azureKeyVault',
    spec: keyVaultSpec,
    limits: { maxBytes: MAX_BYTES, fences: false },
    // Names are the same in capital and small letters.
    eventAddress: ({ vaultUrl, prefix }, path) => ({
      name: new Names(prefix, path).live.toLowerCase(),
      within: { vault: new URL(vaultUrl).hostname.split('.')[0] ?? '' },
    }),
    open: (spec) => {
      const { vaultUrl, tenantId, clientId } = spec;
      return new KeyVaultSession(spec, () =>
        clients({ vaultUrl, ...(tenantId ? { tenantId } : {}), ...(clientId ? { clientId } : {}) }),
      );
    },
  };
}

/** Loaded here, so that only who uses this store pays for the SDK. */
async function connect({
  vaultUrl,
  tenantId,
  clientId,
}: Pick<KeyVaultSpec, 'vaultUrl' | 'tenantId' | 'clientId'>): Promise<SecretClient> {
  const [{ SecretClient: Client }, { DefaultAzureCredential }] = await Promise.all([
    import('@azure/keyvault-secrets'),
    import('@azure/identity'),
  ]);
  const credential = new DefaultAzureCredential({
    ...(tenantId ? { tenantId } : {}),
    ...(clientId ? { managedIdentityClientId: clientId, workloadIdentityClientId: clientId } : {}),
  });
  return new Client(vaultUrl, credential, connectionOptions(vaultUrl));
}

export function connectionOptions(vaultUrl: string) {
  return {
    // What is repeated, and until when, is decided by the call's deadline, which the SDK doesn't know.
    retryOptions: { maxRetries: 0 },
    // The SDK asks for tokens only where the vault belongs to the service that its challenge names. A double on this
    // machine belongs to none; anywhere else the check stays.
    disableChallengeResourceVerification: isLoopback(vaultUrl),
  };
}
