import type { Keyring } from '../core/seal-keyring.ts';
import { awsParameterStore } from './aws-parameter-store/store.ts';
import { awsSecretsManagerStore } from './aws-secrets-manager/store.ts';
import { azureKeyVaultStore } from './azure-key-vault/store.ts';
import { confidantStore } from './confidant/store.ts';
import { conjurStore } from './conjur/store.ts';
import { gcpSecretManagerStore } from './gcp-secret-manager/store.ts';
import { localStore } from './local/store.ts';
import { sealedSecretsStore } from './sealed-secrets/store.ts';
import type { StagelessStore } from './stageless.ts';
import type { Store } from './store.ts';
import { vaultStore } from './vault/store.ts';

export interface StoreDependencies {
  /** Seals what a store keeps on disks of our own. */
  readonly keyring: Keyring;
}

/** Every store there is. A new one is a folder, a line here, and a scenario in the conformance kit. */
export function stores({ keyring }: StoreDependencies): readonly Store[] {
  return [
    localStore(keyring),
    awsSecretsManagerStore(),
    awsParameterStore(),
    vaultStore,
    azureKeyVaultStore(),
    gcpSecretManagerStore(),
  ];
}

/** Those that keep one value at a path and know no stages. What opens them is workers/stageless. */
export const stagelessStores: readonly StagelessStore[] = [confidantStore, conjurStore, sealedSecretsStore];
