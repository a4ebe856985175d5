import { createHash } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { connectApi } from '../../sandbox/controllers/client/api.ts';
import { DEPLOYMENTS, SECRETS } from '../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../sandbox/controllers/client/resource.ts';
import type { Deployment, Secret } from '../../sandbox/controllers/client/wire.ts';
import { WorkQueue } from '../../sandbox/controllers/client/work-queue.ts';
import { canonical } from '../../sandbox/controllers/names.ts';

/**
 * A double of Stakater Reloader for Secrets and Deployments with the annotations `auto` and `reload`, in its default
 * strategy (env-vars): a hash of the data becomes a variable of the container that reads the Secret. It acts on changes
 * that happen while it runs, as the real one does without --reload-on-create. It speaks only the Kubernetes API.
 */
export async function startReloaderDouble(kubeConfig: KubeConfig): Promise<{ stop(): Promise<void> }> {
  const abort = new AbortController();
  const { signal } = abort;
  const options = { log: silentLog, clock: systemClock, signal };
  const api = connectApi(kubeConfig);
  const secrets = await openResource(api, SECRETS, options);
  const deployments = await openResource(api, DEPLOYMENTS, options);
  const known = new Map<string, string>();

  async function reload(key: string): Promise<undefined> {
    const secret = secrets.cache.byKey(key);
    if (!secret) return;
    const { name, namespace } = secret.metadata;
    for (const deployment of deployments.cache.list(namespace)) {
      const changed = withHash(deployment, name, hashOfData(secret));
      if (wants(deployment, secret) && changed) await deployments.update(changed);
    }
  }

  const queue = new WorkQueue(reload, { clock: systemClock, signal, workers: 1, onError: () => undefined });
  secrets.cache.onChange(({ after }) => {
    if (!after) return;
    const key = `${after.metadata.namespace}/${after.metadata.name}`;
    const hash = hashOfData(after);
    const before = known.get(key);
    known.set(key, hash);
    if (before !== undefined && before !== hash) queue.add(key);
  });
  return {
    stop: async () => {
      abort.abort();
      await queue.drained();
    },
  };
}

function wants(deployment: Deployment, secret: Secret): boolean {
  const annotations = deployment.metadata.annotations ?? {};
  if (secret.metadata.annotations?.['reloader.stakater.com/ignore'] === 'true') return false;
  const named = (annotations['secret.reloader.stakater.com/reload'] ?? '').split(',');
  return annotations['reloader.stakater.com/auto'] === 'true' || named.includes(secret.metadata.name);
}

/** The Deployment with the variable; undefined when it has it already, or doesn't read the Secret. */
function withHash(deployment: Deployment, secret: string, hash: string): Deployment | undefined {
  const copy = structuredClone(deployment);
  const name = `STAKATER_${secret.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')}_SECRET`;
  const containers = copy.spec.template.spec?.containers ?? [];
  const volumes = (copy.spec.template.spec?.volumes ?? [])
    .filter((volume) => volume.secret?.secretName === secret)
    .map((volume) => volume.name);
  const reader = containers.find(
    ({ env = [], envFrom = [], volumeMounts = [] }) =>
      env.some(({ valueFrom }) => valueFrom?.secretKeyRef?.name === secret) ||
      envFrom.some(({ secretRef }) => secretRef?.name === secret) ||
      volumeMounts.some((mount) => volumes.includes(mount.name)),
  );
  if (!reader || reader.env?.some((each) => each.name === name && each.value === hash)) return undefined;
  reader.env = [...(reader.env ?? []).filter((each) => each.name !== name), { name, value: hash }];
  return copy;
}

function hashOfData({ data }: Secret): string {
  return createHash('sha1')
    .update(canonical(data ?? {}))
    .digest('hex');
}
