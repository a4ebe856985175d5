import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../core/clock.ts';
import { silentLog } from '../../../core/log.ts';
import { connectApi } from '../../../sandbox/controllers/client/api.ts';
import { type Kind, SECRETS } from '../../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../../sandbox/controllers/client/resource.ts';
import type { Meta } from '../../../sandbox/controllers/client/wire.ts';
import { WorkQueue } from '../../../sandbox/controllers/client/work-queue.ts';
import { onObjects } from '../../../sandbox/controllers/controller.ts';
import { hashOf } from '../../../sandbox/controllers/names.ts';
import { externalSecretDefinition } from './controller.ts';

interface PushSecret {
  metadata: Meta;
  spec: { selector?: { secret?: { name?: string } } };
  status?: { syncedResourceVersion?: string; refreshTime?: string; conditions?: object[] };
}

const PUSH_SECRETS: Kind<PushSecret> = {
  apiVersion: 'external-secrets.io/v1alpha1',
  kind: 'PushSecret',
  plural: 'pushsecrets',
  namespaced: true,
};

export const pushSecretDefinition = {
  ...externalSecretDefinition,
  metadata: { name: 'pushsecrets.external-secrets.io' },
  spec: {
    ...externalSecretDefinition.spec,
    names: {
      kind: 'PushSecret',
      listKind: 'PushSecretList',
      plural: 'pushsecrets',
      singular: 'pushsecret',
      shortNames: ['ps'],
    },
    versions: externalSecretDefinition.spec.versions.map((version) => ({ ...version, name: 'v1alpha1' })),
  },
};

/** Where it pushes to: all keys of a Secret, as text. Throws what the provider says when it refuses. */
export type Push = (namespace: string, data: Readonly<Record<string, string>>) => void;

/**
 * A double of the External Secrets controller for PushSecrets that name a Secret. It pushes when a PushSecret's generation,
 * labels or annotations are others than at its last push (status.syncedResourceVersion), and never by time. The conditions'
 * reasons are those of the API: Synced and Errored.
 */
export function pushSecretsDouble(push: Push) {
  return async (kubeConfig: KubeConfig): Promise<{ stop(): Promise<void> }> => {
    const abort = new AbortController();
    const { signal } = abort;
    const api = connectApi(kubeConfig);
    const pushSecrets = await openResource(api, PUSH_SECRETS, { log: silentLog, clock: systemClock, signal });

    async function sync(key: string): Promise<undefined> {
      const found = pushSecrets.cache.byKey(key);
      if (!found || found.metadata.deletionTimestamp) return;
      const { metadata, spec, status } = found;
      const { generation = 1, annotations = {}, labels = {}, namespace } = metadata;
      const syncedResourceVersion = `${generation}-${hashOf({ annotations, labels })}`;
      if (status?.syncedResourceVersion === syncedResourceVersion) return;
      const ready = {
        type: 'Ready',
        status: 'True',
        reason: 'Synced',
        message: 'PushSecret synced successfully',
      };
      try {
        const name = spec.selector?.secret?.name ?? '';
        const { data = {} } = (await api.get(SECRETS, { namespace, name })) as {
          data?: Record<string, string>;
        };
        const texts = Object.entries(data).map(([each, text]) => [
          each,
          Buffer.from(text, 'base64').toString(),
        ]);
        push(namespace, Object.fromEntries(texts));
      } catch (error) {
        const message = `set secret failed: ${error instanceof Error ? error.message : ''}`;
        const failed = { ...ready, status: 'False', reason: 'Errored', message };
        await pushSecrets.updateStatus({ ...found, status: { ...status, conditions: [failed] } });
        return;
      }
      const refreshTime = new Date().toISOString();
      await pushSecrets.updateStatus({
        ...found,
        status: { syncedResourceVersion, refreshTime, conditions: [ready] },
      });
    }

    const queue = new WorkQueue(sync, { clock: systemClock, signal, workers: 1, onError: () => undefined });
    onObjects(pushSecrets.cache, (key) => queue.add(key));
    return {
      stop: async () => {
        abort.abort();
        await queue.drained();
      },
    };
  };
}
