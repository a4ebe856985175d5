import type { Kind } from '../../../sandbox/controllers/client/kinds.ts';
import type { Meta } from '../../../sandbox/controllers/client/wire.ts';

export interface VaultStaticSecret {
  metadata: Meta;
  spec: {
    mount: string;
    path: string;
    type: string;
    refreshAfter?: string;
    hmacSecretData?: boolean;
    rolloutRestartTargets?: { kind: 'Deployment' | 'StatefulSet' | 'DaemonSet'; name: string }[];
    destination: { name: string; create?: boolean; overwrite?: boolean };
  };
  status?: { lastGeneration?: number; secretMAC?: string; conditions?: object[] };
}

export const VAULT_STATIC_SECRETS: Kind<VaultStaticSecret> = {
  apiVersion: 'secrets.hashicorp.com/v1beta1',
  kind: 'VaultStaticSecret',
  plural: 'vaultstaticsecrets',
  namespaced: true,
};

export const vaultStaticSecretDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'vaultstaticsecrets.secrets.hashicorp.com' },
  spec: {
    group: 'secrets.hashicorp.com',
    scope: 'Namespaced',
    names: {
      kind: 'VaultStaticSecret',
      listKind: 'VaultStaticSecretList',
      plural: 'vaultstaticsecrets',
      singular: 'vaultstaticsecret',
    },
    versions: [
      {
        name: 'v1beta1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};
