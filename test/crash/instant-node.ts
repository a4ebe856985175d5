import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { connectApi, ignoring } from '../../sandbox/controllers/client/api.ts';
import { watchKind } from '../../sandbox/controllers/client/cache.ts';
import { PODS, SECRETS } from '../../sandbox/controllers/client/kinds.ts';
import type { Pod } from '../../sandbox/controllers/client/wire.ts';

/** What a pod read from its Secret when it started, and uses until it ends. */
export interface Held {
  readonly pod: string;
  readonly namespace: string;
  readonly version: string;
  readonly username: string;
  readonly password: string;
}

export interface InstantNode {
  /** By every pod of a namespace that has started and isn't gone. */
  held(namespace: string): readonly Held[];
  stop(): void;
}

/**
 * A node whose pods are no processes: each reads the Secret `db` of its namespace when it starts, as a container does with
 * its environment, and is ready at once if `accepts` says so. For rotations by the hundred.
 */
export async function startInstantNode(
  config: KubeConfig,
  accepts: (held: Held) => boolean,
): Promise<InstantNode> {
  const abort = new AbortController();
  const api = connectApi(config);
  const running = new Map<string, Held>();
  const start = async ({ metadata: { namespace, name, uid }, spec }: Pod): Promise<void> => {
    const secret = await api.get(SECRETS, { namespace, name: 'db' });
    const value = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
    const held = {
      pod: name,
      namespace,
      version: value('version'),
      username: value('username'),
      password: value('password'),
    };
    // Deleted while its Secret was read: it never started.
    if (!isThere(uid, namespace, name)) return;
    running.set(uid, held);
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const ready = accepts(held);
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: now }];
    // Times have whole seconds: a rotation begins within the second in which its pods were made, and would find pods that may
    // have started after it had.
    const startedAt = `${new Date(Date.now() - 2_000).toISOString().slice(0, 19)}Z`;
    const containerStatuses = spec.containers.map((each) => ({
      name: each.name,
      image: '',
      imageID: '',
      ready,
      restartCount: 0,
      state: { running: { startedAt } },
    }));
    const status = { phase: 'Running', podIP: '127.0.0.1', startTime: now, conditions, containerStatuses };
    await api.patch(PODS, { namespace, name }, { status }, 'status');
  };
  const pods = await watchKind(api, PODS, { log: silentLog, clock: systemClock, signal: abort.signal });
  const isThere = (uid: string, namespace: string, name: string) =>
    pods.byKey(`${namespace}/${name}`)?.metadata.uid === uid;
  const seen = new Set<string>();
  const look = async (pod: Pod): Promise<void> => {
    const { uid, namespace, name } = pod.metadata;
    if (seen.has(uid)) return;
    seen.add(uid);
    // A pod whose Secret is missing waits for it, as it would on a real node.
    while (!abort.signal.aborted && isThere(uid, namespace, name)) {
      const started = await start(pod).then(
        () => true,
        () => false,
      );
      if (started) return;
      await systemClock.sleep(20);
    }
  };
  pods.onChange(({ before, after }) => {
    if (!after) running.delete(before?.metadata.uid ?? '');
    else if (after.metadata.deletionTimestamp)
      void ignoring(
        [404],
        api.delete(PODS, after.metadata, { gracePeriodSeconds: 0, uid: after.metadata.uid }),
      ).catch(() => undefined);
    else void look(after);
  });
  return {
    held: (namespace) => [...running.values()].filter((held) => held.namespace === namespace),
    stop: () => abort.abort(),
  };
}
