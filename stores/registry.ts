import { type Clusters, kubeconfigClusters } from '../core/kubernetes/cluster.ts';
import type { Keyring } from '../core/seal-keyring.ts';
import { awsParameterStore } from './aws-parameter-store/store.ts';
import { awsSecretsManagerStore } from './aws-secrets-manager/store.ts';
import { azureKeyVaultStore } from './azure-key-vault/store.ts';
import { confidantStore } from './confidant/store.ts';
import { conjurStore } from './conjur/store.ts';
import { gcpSecretManagerStore } from './gcp-secret-manager/store.ts';
import { kubernetesStore } from './kubernetes/store.ts';
import { localStore } from './local/store.ts';
import { sealedSecretsStore } from './sealed-secrets/store.ts';
import type { StagelessStore } from './stageless.ts';
import type { Store } from './store.ts';
import { vaultStore } from './vault/store.ts';

export interface StoreDependencies {
  /** Seals what a store keeps on disks of our own. */
  readonly keyring: Keyring;
  /** Those that the process opens anyway; the ones of its kubeconfig when absent. */
  readonly clusters?: Clusters;
}

/** Every store there is. A new one is a folder, a line here, and a scenario in the conformance kit. */
export function stores({ keyring, clusters = kubeconfigClusters() }: StoreDependencies): readonly Store[] {
  return [
    localStore(keyring),
    awsSecretsManagerStore(),
    awsParameterStore(),
    vaultStore,
    azureKeyVaultStore(),
    gcpSecretManagerStore(),
    kubernetesStore(clusters),
  ];
}

/** Those that keep one value at a path and know no stages. What opens them is workers/stageless. */
export const stagelessStores: readonly StagelessStore[] = [confidantStore, conjurStore, sealedSecretsStore];
