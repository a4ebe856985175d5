import type { Kind } from '../../../sandbox/controllers/client/kinds.ts';
import type { Meta } from '../../../sandbox/controllers/client/wire.ts';

export interface PodStatus {
  metadata: Meta;
  status?: {
    podName?: string;
    secretProviderClassName?: string;
    mounted?: boolean;
    targetPath?: string;
    objects?: { id: string; version: string }[];
  };
}

export const POD_STATUSES: Kind<PodStatus> = {
  apiVersion: 'secrets-store.csi.x-k8s.io/v1',
  kind: 'SecretProviderClassPodStatus',
  plural: 'secretproviderclasspodstatuses',
  namespaced: true,
};

const text = { type: 'string' };
const object = { type: 'object', properties: { id: text, version: text } };

/** As the driver's chart installs it: there is no status subresource, the driver writes the object as a whole. */
export const podStatusDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'secretproviderclasspodstatuses.secrets-store.csi.x-k8s.io' },
  spec: {
    group: 'secrets-store.csi.x-k8s.io',
    scope: 'Namespaced',
    names: {
      kind: 'SecretProviderClassPodStatus',
      listKind: 'SecretProviderClassPodStatusList',
      plural: 'secretproviderclasspodstatuses',
      singular: 'secretproviderclasspodstatus',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              status: {
                type: 'object',
                properties: {
                  podName: text,
                  secretProviderClassName: text,
                  mounted: { type: 'boolean' },
                  targetPath: text,
                  objects: { type: 'array', items: object },
                },
              },
            },
          },
        },
      },
    ],
  },
};

/** What the class itself says is the provider's business. */
export const providerClassDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'secretproviderclasses.secrets-store.csi.x-k8s.io' },
  spec: {
    group: 'secrets-store.csi.x-k8s.io',
    scope: 'Namespaced',
    names: {
      kind: 'SecretProviderClass',
      listKind: 'SecretProviderClassList',
      plural: 'secretproviderclasses',
      singular: 'secretproviderclass',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  provider: text,
                  parameters: { type: 'object', additionalProperties: text },
                },
              },
            },
          },
        },
      },
    ],
  },
};
