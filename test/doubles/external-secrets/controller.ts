import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../core/clock.ts';
import { silentLog } from '../../../core/log.ts';
import { connectApi, statusOf } from '../../../sandbox/controllers/client/api.ts';
import { type Kind, SECRETS } from '../../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../../sandbox/controllers/client/resource.ts';
import type { Meta } from '../../../sandbox/controllers/client/wire.ts';
import { WorkQueue } from '../../../sandbox/controllers/client/work-queue.ts';
import { onObjects } from '../../../sandbox/controllers/controller.ts';
import { hashOf } from '../../../sandbox/controllers/names.ts';

interface ExternalSecret {
  metadata: Meta;
  spec: { target?: { name?: string }; dataFrom?: { extract: { key: string } }[] };
  status?: { syncedResourceVersion?: string; refreshTime?: string; conditions?: object[] };
}

const EXTERNAL_SECRETS: Kind<ExternalSecret> = {
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  plural: 'externalsecrets',
  namespaced: true,
};

export const externalSecretDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'externalsecrets.external-secrets.io' },
  spec: {
    group: 'external-secrets.io',
    scope: 'Namespaced',
    names: {
      kind: 'ExternalSecret',
      listKind: 'ExternalSecretList',
      plural: 'externalsecrets',
      singular: 'externalsecret',
      shortNames: ['es'],
    },
    versions: [
      {
        name: 'v1',
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

/** A store's document under a key: flat, text values. Undefined: there is none. */
export type StoreDouble = (namespace: string, key: string) => Readonly<Record<string, string>> | undefined;

/** The same of a store that has to be asked. */
type AskedStore = (
  ...where: Parameters<StoreDouble>
) => ReturnType<StoreDouble> | Promise<ReturnType<StoreDouble>>;

/**
 * A double of the External Secrets controller for `dataFrom.extract`. It copies when an ExternalSecret's generation, labels
 * or annotations are others than at its last copy (status.syncedResourceVersion), and never by time: refreshes are an hour
 * away in every test. It speaks only the Kubernetes API, and reads the store it is given.
 */
export function externalSecretsDouble(store: AskedStore) {
  return async (kubeConfig: KubeConfig): Promise<{ stop(): Promise<void> }> => {
    const abort = new AbortController();
    const { signal } = abort;
    const api = connectApi(kubeConfig);
    const externalSecrets = await openResource(api, EXTERNAL_SECRETS, {
      log: silentLog,
      clock: systemClock,
      signal,
    });

    async function sync(key: string): Promise<undefined> {
      const found = externalSecrets.cache.byKey(key);
      if (!found || found.metadata.deletionTimestamp) return;
      const { metadata, spec, status } = found;
      const { generation = 1, annotations = {}, labels = {}, namespace } = metadata;
      const syncedResourceVersion = `${generation}-${hashOf({ annotations, labels })}`;
      if (status?.syncedResourceVersion === syncedResourceVersion) return;
      const document = await store(namespace, spec.dataFrom?.[0]?.extract.key ?? '');
      const condition = document
        ? { type: 'Ready', status: 'True', reason: 'SecretSynced', message: 'secret synced' }
        : {
            type: 'Ready',
            status: 'False',
            reason: 'SecretSyncedError',
            message: 'could not get secret data from provider',
          };
      if (document) await write(namespace, spec.target?.name ?? metadata.name, document);
      await externalSecrets.updateStatus({
        ...found,
        status: {
          ...(document ? { syncedResourceVersion, refreshTime: new Date().toISOString() } : {}),
          conditions: [condition],
        },
      });
    }

    async function write(namespace: string, name: string, document: Readonly<Record<string, string>>) {
      const data = Object.fromEntries(
        Object.entries(document).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      );
      const annotations = { 'reconcile.external-secrets.io/data-hash': hashOf(data) };
      try {
        await api.patch(SECRETS, { namespace, name }, { metadata: { annotations }, data });
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
        await api.create(SECRETS, { metadata: { name, namespace, annotations }, data });
      }
    }

    const queue = new WorkQueue(sync, { clock: systemClock, signal, workers: 1, onError: () => undefined });
    onObjects(externalSecrets.cache, (key) => queue.add(key));
    return {
      stop: async () => {
        abort.abort();
        await queue.drained();
      },
    };
  };
}
