import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import { connectApi, reasonOf } from '../controllers/client/api.ts';
import { watchKind } from '../controllers/client/cache.ts';
import { CONFIG_MAPS, NODES, PODS, SECRETS } from '../controllers/client/kinds.ts';
import { keyOf } from '../controllers/client/object-store.ts';
import type { Pod } from '../controllers/client/wire.ts';
import { WorkQueue } from '../controllers/client/work-queue.ts';
import { refersTo } from './environment.ts';
import { heartbeat, isDoubted, registerNode } from './node.ts';
import type { KubeletOptions, Settings } from './options.ts';
import { PodRunner } from './pod.ts';
import { killLeftovers } from './process.ts';
import { bind, fits } from './scheduling.ts';

export type { KubeletOptions } from './options.ts';

export interface Running {
  stop(): Promise<void>;
}

/**
 * Runs a node whose containers are processes of this machine. Resolves when the node is registered and has
 * seen all pods. Pods of an earlier run in the same folder are killed and started anew.
 */
export async function startKubelet(kubeConfig: KubeConfig, options: KubeletOptions): Promise<Running> {
  const settings = withDefaults(options);
  const { folder, log, clock, nodeName } = settings;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const killed = await killLeftovers(join(folder, 'processes'));
  if (killed > 0) log.info({ killed }, 'processes of an earlier run were killed');
  await rm(join(folder, 'pods'), { recursive: true, force: true });
  const abort = new AbortController();
  const { signal } = abort;
  const api = connectApi(kubeConfig);
  await registerNode(api, settings);
  const beating = heartbeat(api, settings, signal);
  const cache = { log, clock, signal };
  const [secrets, configMaps, nodes, pods] = await Promise.all([
    watchKind(api, SECRETS, cache),
    watchKind(api, CONFIG_MAPS, cache),
    watchKind(api, NODES, cache),
    watchKind(api, PODS, cache),
  ]);
  const lookup = (namespace: string) => ({
    secret: (name: string) => secrets.get(namespace, name),
    configMap: (name: string) => configMaps.get(namespace, name),
  });
  const runners = new Map<string, PodRunner>();
  const onPod = (before: Pod | undefined, after: Pod | undefined) => {
    if (before && before.metadata.uid !== after?.metadata.uid) {
      const orphan = runners.get(before.metadata.uid);
      runners.delete(before.metadata.uid);
      // The object is gone already: what still runs has no time left.
      void orphan?.end(0, true);
    }
    if (!after || after.spec.nodeName !== nodeName || isOver(after)) return;
    const known = runners.get(after.metadata.uid);
    const runner = known ?? new PodRunner(after, { api, settings, lookup });
    runners.set(after.metadata.uid, runner);
    runner.update(after);
  };
  const scheduler = new WorkQueue(
    async (key) => {
      const pod = pods.byKey(key);
      const node = nodes.get(undefined, nodeName);
      if (pod && node && fits(pod, node)) await bind(api, pod, nodeName);
      return undefined;
    },
    {
      clock,
      signal,
      workers: 10,
      onError: (pod, error) => log.warn({ pod, reason: reasonOf(error) }, 'pod could not be bound'),
    },
  );
  const refresh = (kind: 'secret' | 'configMap', namespace: string, name: string) => {
    for (const pod of pods.list(namespace))
      if (refersTo(pod.spec, kind, name)) runners.get(pod.metadata.uid)?.configurationChanged();
  };
  const onConfiguration = (kind: 'secret' | 'configMap') => (object: { metadata: Pod['metadata'] }) => {
    const { namespace, name } = object.metadata;
    const pause =
      settings.refreshDelayMs === 0 ? Promise.resolve() : clock.sleep(settings.refreshDelayMs, signal);
    pause.then(
      () => refresh(kind, namespace, name),
      () => undefined,
    );
  };
  const onSecret = onConfiguration('secret');
  const onConfigMap = onConfiguration('configMap');
  const believed = new WorkQueue(
    async () => {
      const node = nodes.get(undefined, nodeName);
      if (node && isDoubted(node)) await registerNode(api, settings);
      return undefined;
    },
    {
      clock,
      signal,
      workers: 1,
      onError: (node, error) =>
        log.warn({ node, reason: reasonOf(error) }, 'node could not say that it runs'),
    },
  );
  nodes.onChange(({ after }) => after?.metadata.name === nodeName && believed.add(nodeName));
  pods.onChange(({ before, after }) => onPod(before, after));
  secrets.onChange(({ after }) => after && onSecret(after));
  configMaps.onChange(({ after }) => after && onConfigMap(after));
  if (settings.schedule) {
    pods.onChange(({ after }) => after && !after.spec.nodeName && scheduler.add(keyOf(after)));
    nodes.onChange(({ after }) => {
      if (after?.metadata.name !== nodeName) return;
      for (const pod of pods.list()) if (!pod.spec.nodeName) scheduler.add(keyOf(pod));
    });
  }
  return {
    stop: async () => {
      abort.abort();
      await Promise.all([scheduler.drained(), believed.drained()]);
      await Promise.all([...runners.values()].map((runner) => runner.end(0, false)));
      await beating;
    },
  };
}

/** A finished pod isn't run again, not even by a node that has just started. */
function isOver({ status, metadata }: Pod): boolean {
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return ended && !metadata.deletionTimestamp;
}

function withDefaults(options: KubeletOptions): Settings {
  return {
    clock: systemClock,
    schedule: true,
    refreshDelayMs: 0,
    restartBackoff: { baseMs: 10_000, maxMs: 300_000 },
    address: '127.0.0.1',
    labels: {},
    heartbeatMs: 10_000,
    ...options,
  };
}
