import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../core/clock.ts';
import { silentLog } from '../../../core/log.ts';
import { connectApi, statusOf } from '../../../sandbox/controllers/client/api.ts';
import { PODS } from '../../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../../sandbox/controllers/client/resource.ts';
import type { Pod } from '../../../sandbox/controllers/client/wire.ts';
import { WorkQueue } from '../../../sandbox/controllers/client/work-queue.ts';
import { onObjects } from '../../../sandbox/controllers/controller.ts';
import { CSI_DRIVER } from '../../../workers/kubernetes/mounts/decide.ts';
import { POD_STATUSES } from './definition.ts';

/** What the store has now: what is mounted, and the versions that the provider reports, by object. */
export interface Stored {
  readonly content: string;
  readonly versions: Readonly<Record<string, string>>;
}

export interface DriverDouble {
  stop(): Promise<void>;
  /** What its rotation does every two minutes: mounts what the store has now for every pod. */
  rotate(): Promise<void>;
}

/**
 * A double of the Secrets Store CSI driver together with a provider: what it mounts is a file `<files>/<uid of the pod>`,
 * written when the pod first appears, and again by `rotate`; after each it writes the pod's SecretProviderClassPodStatus. It
 * speaks only the Kubernetes API, and doesn't hold back the pod's start, as a node would until the volume is there.
 */
export async function startDriverDouble(
  kubeConfig: KubeConfig,
  namespace: string,
  files: string,
  store: () => Stored | Promise<Stored>,
): Promise<DriverDouble> {
  const abort = new AbortController();
  const { signal } = abort;
  const api = connectApi(kubeConfig);
  await mkdir(files, { recursive: true });
  const pods = await openResource(api, PODS, { log: silentLog, clock: systemClock, signal });
  const mounted = new Set<string>();

  async function mount(pod: Pod, providerClass: string): Promise<void> {
    const { name, uid } = pod.metadata;
    const { content, versions } = await store();
    const place = join(files, uid);
    await writeFile(`${place}.new`, content);
    const objects = Object.entries(versions).map(([id, version]) => ({ id, version }));
    const metadata = {
      name: `${name}-${namespace}-${providerClass}`,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
    };
    const status = { podName: name, secretProviderClassName: providerClass, mounted: true, objects };
    // Files first, as the driver does: what it reports is there.
    await rename(`${place}.new`, place);
    try {
      await api.patch(POD_STATUSES, metadata, { metadata, status });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      await api.create(POD_STATUSES, { metadata, status });
    }
  }

  async function mountOnce(key: string): Promise<undefined> {
    const pod = pods.cache.byKey(key);
    const providerClass = pod && classOf(pod);
    if (!providerClass || mounted.has(pod.metadata.uid)) return;
    await mount(pod, providerClass);
    mounted.add(pod.metadata.uid);
  }

  const queue = new WorkQueue(mountOnce, {
    clock: systemClock,
    signal,
    workers: 1,
    onError: () => undefined,
  });
  onObjects(pods.cache, (key) => queue.add(key));
  return {
    rotate: async () => {
      for (const pod of pods.cache.list(namespace)) {
        const providerClass = classOf(pod);
        if (providerClass && mounted.has(pod.metadata.uid)) await mount(pod, providerClass);
      }
    },
    stop: async () => {
      abort.abort();
      await queue.drained();
    },
  };

  function classOf({ metadata, spec }: Pod): string | undefined {
    if (metadata.namespace !== namespace || metadata.deletionTimestamp || !spec.nodeName) return undefined;
    const volume = (spec.volumes ?? []).find(({ csi }) => csi?.driver === CSI_DRIVER);
    return volume?.csi?.volumeAttributes?.secretProviderClass;
  }
}
