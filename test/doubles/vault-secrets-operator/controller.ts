import { createHmac } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../core/clock.ts';
import { parseDuration } from '../../../core/duration.ts';
import { silentLog } from '../../../core/log.ts';
import { connectApi, statusOf } from '../../../sandbox/controllers/client/api.ts';
import {
  DAEMON_SETS,
  DEPLOYMENTS,
  type Kind,
  SECRETS,
  STATEFUL_SETS,
} from '../../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../../sandbox/controllers/client/resource.ts';
import type { Stored } from '../../../sandbox/controllers/client/wire.ts';
import { type Again, WorkQueue } from '../../../sandbox/controllers/client/work-queue.ts';
import { onObjects } from '../../../sandbox/controllers/controller.ts';
import { canonical } from '../../../sandbox/controllers/names.ts';
import type { StoreDouble } from '../external-secrets/controller.ts';
import { VAULT_STATIC_SECRETS, type VaultStaticSecret } from './definition.ts';

const TARGETS: Readonly<Record<string, Kind<Stored>>> = {
  Deployment: DEPLOYMENTS,
  StatefulSet: STATEFUL_SETS,
  DaemonSet: DAEMON_SETS,
};

/**
 * A double of the Vault Secrets Operator for VaultStaticSecrets. Every `refreshAfter` it compares an HMAC of what the store
 * has, and of the Secret, with the one of its last sync (status.secretMAC); where either is another, or the spec has changed,
 * it writes the Secret, and restarts its targets unless it is the first time or `hmacSecretData` is off. A restart is the
 * annotation vso.secrets.hashicorp.com/restartedAt of the template, in whole seconds. It speaks only the Kubernetes API, and
 * reads the store it is given.
 */
export function vaultSecretsOperatorDouble(store: StoreDouble) {
  return async (kubeConfig: KubeConfig): Promise<{ stop(): Promise<void> }> => {
    const abort = new AbortController();
    const { signal } = abort;
    const api = connectApi(kubeConfig);
    const resources = await openResource(api, VAULT_STATIC_SECRETS, {
      log: silentLog,
      clock: systemClock,
      signal,
    });

    async function sync(key: string): Promise<Again> {
      const found = resources.cache.byKey(key);
      if (!found || found.metadata.deletionTimestamp) return;
      const { spec, status, metadata } = found;
      const { namespace, generation = 1 } = metadata;
      const again = parseDuration(spec.refreshAfter ?? '');
      const document = store(namespace, spec.path);
      if (!document) return again;
      const data = dataOf(document);
      const secretMAC = macOf(data);
      const hashes = spec.hmacSecretData !== false;
      const at = { namespace, name: spec.destination.name };
      const now = await api.get(SECRETS, at).catch((error: unknown) => {
        if (statusOf(error) !== 404) throw error;
      });
      const same = status?.secretMAC === secretMAC && macOf(now?.data ?? {}) === secretMAC;
      const known = status?.lastGeneration === generation;
      if (hashes && same && known) return again;
      if (now) await api.patch(SECRETS, at, { data });
      else await api.create(SECRETS, { metadata: at, data });
      if (hashes && status?.secretMAC) await restart(found);
      const synced = { type: 'SecretSynced', status: 'True', reason: 'SecretSynced' };
      await resources.updateStatus({
        ...found,
        status: { lastGeneration: generation, ...(hashes ? { secretMAC } : {}), conditions: [synced] },
      });
      return again;
    }

    async function restart({ metadata: { namespace }, spec }: VaultStaticSecret): Promise<void> {
      const restartedAt = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      const annotations = { 'vso.secrets.hashicorp.com/restartedAt': restartedAt };
      // An error is told as an event and not tried again.
      // An error is told as an event and not tried again.
      for (const { kind, name } of spec.rolloutRestartTargets ?? [])
        await api
          .patch(
            TARGETS[kind] as Kind<Stored>,
            { namespace, name },
            { spec: { template: { metadata: { annotations } } } },
          )
          .catch(() => undefined);
    }

    const queue = new WorkQueue(sync, { clock: systemClock, signal, workers: 1, onError: () => undefined });
    onObjects(resources.cache, (key) => queue.add(key));
    return {
      stop: async () => {
        abort.abort();
        await queue.drained();
      },
    };
  };
}

/** With the whole document under `_raw`, as the operator adds it. */
function dataOf(document: Readonly<Record<string, string>>): Record<string, string> {
  const texts = { ...document, _raw: JSON.stringify({ data: document }) };
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  );
}

function macOf(data: object): string {
  return createHmac('sha256', 'double').update(canonical(data)).digest('base64');
}
