import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../core/clock.ts';
import { silentLog } from '../../../core/log.ts';
import { connectApi, ignoring } from '../../../sandbox/controllers/client/api.ts';
import { REPLICA_SETS, SERVICES } from '../../../sandbox/controllers/client/kinds.ts';
import { openResource } from '../../../sandbox/controllers/client/resource.ts';
import type { ReplicaSet } from '../../../sandbox/controllers/client/wire.ts';
import { WorkQueue } from '../../../sandbox/controllers/client/work-queue.ts';
import { onObjects, onOwned } from '../../../sandbox/controllers/controller.ts';
import { canonical, hashOf } from '../../../sandbox/controllers/names.ts';
import { controllerReference } from '../../../sandbox/controllers/pod-facts.ts';
import { decide } from './decision.ts';
import { type ArgoRollout, HASH, ROLLOUTS } from './wire.ts';

/** How often a Rollout is looked at although nothing changed: for pauses and deadlines. */
const AGAIN_MS = 250;

/**
 * A double of the Argo Rollouts controller. It speaks only the Kubernetes API, where its kind must be installed already;
 * ReplicaSets are brought to pods by the cluster's own controller.
 */
export async function startArgoRolloutsDouble(kubeConfig: KubeConfig): Promise<{ stop(): Promise<void> }> {
  const abort = new AbortController();
  const { signal } = abort;
  const options = { log: silentLog, clock: systemClock, signal };
  const api = connectApi(kubeConfig);
  const rollouts = await openResource(api, ROLLOUTS, options);
  const sets = await openResource(api, REPLICA_SETS, options);

  /** ReplicaSets go to nothing at once, but after a promotion those of before are kept for a while. */
  const keptUntil = new Map<string, number>();

  async function reconcile(key: string): Promise<number | undefined> {
    const rollout = rollouts.cache.byKey(key);
    if (!rollout || rollout.metadata.deletionTimestamp) return undefined;
    const { spec, metadata } = rollout;
    const hash = hashOf(spec.template);
    const owned = sets.cache.ownedBy(metadata.uid);
    if (!owned.some((set) => hashOfSet(set) === hash)) {
      owned.push(await sets.create(newSet(rollout, hash)));
    }
    const nowMs = Date.now();
    const before = rollout.status ?? {};
    const decision = decide({
      spec,
      status: before,
      hash,
      generation: metadata.generation ?? 1,
      nowMs,
      sets: owned.map((set) => ({
        hash: hashOfSet(set),
        replicas: set.spec.replicas ?? 0,
        existing: set.status?.replicas ?? 0,
        available: set.status?.availableReplicas ?? 0,
      })),
    });
    const { blueGreen } = spec.strategy;
    if (blueGreen) {
      await select(metadata.namespace, blueGreen.activeService, decision.active);
      if (blueGreen.previewService)
        await select(metadata.namespace, blueGreen.previewService, decision.preview);
    }
    const delayMs = blueGreen ? (blueGreen.scaleDownDelaySeconds ?? 30) * 1000 : 0;
    for (const set of owned) {
      const wanted = decision.scale[hashOfSet(set)] ?? set.spec.replicas ?? 0;
      const { uid } = set.metadata;
      if (wanted > 0) keptUntil.delete(uid);
      if (wanted === (set.spec.replicas ?? 0)) continue;
      if (wanted === 0 && delayMs > 0) {
        if (!keptUntil.has(uid)) keptUntil.set(uid, nowMs + delayMs);
        if (nowMs < (keptUntil.get(uid) ?? 0)) continue;
      }
      await sets.update({ ...set, spec: { ...set.spec, replicas: wanted } });
    }
    if (canonical(decision.status) !== canonical(before))
      await rollouts.updateStatus({ ...rollout, status: decision.status });
    return AGAIN_MS;
  }

  /** A Service without the key leads to all pods; with it, to those of one template. */
  async function select(namespace: string, name: string, hash: string | undefined): Promise<void> {
    if (hash === undefined) return;
    const service = await api.get(SERVICES, { namespace, name });
    if (service.spec.selector?.[HASH] === hash) return;
    await api.patch(SERVICES, { namespace, name }, { spec: { selector: { [HASH]: hash } } });
  }

  const queue = new WorkQueue(reconcile, {
    clock: systemClock,
    signal,
    workers: 2,
    // A namespace that goes away, a conflict: looked at again.
    onError: () => undefined,
  });
  onObjects(rollouts.cache, (key) => queue.add(key));
  onOwned(sets.cache, 'Rollout', (key) => queue.add(key));
  // The sandbox collects what a removed owner leaves; a bare API server doesn't.
  rollouts.cache.onChange(({ before, after }) => {
    if (after || !before) return;
    for (const set of sets.cache.ownedBy(before.metadata.uid)) void ignoring([404, 409], sets.remove(set));
  });
  return {
    stop: async () => {
      abort.abort();
      await queue.drained();
    },
  };
}

function hashOfSet(set: ReplicaSet): string {
  return set.metadata.labels?.[HASH] ?? '';
}

function newSet({ metadata, spec }: ArgoRollout, hash: string) {
  const labels = { ...spec.template.metadata?.labels, [HASH]: hash };
  return {
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels,
      ownerReferences: [
        controllerReference({ apiVersion: ROLLOUTS.apiVersion, kind: ROLLOUTS.kind, metadata }),
      ],
    },
    spec: {
      replicas: 0,
      minReadySeconds: spec.minReadySeconds ?? 0,
      selector: { matchLabels: { ...spec.selector.matchLabels, [HASH]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  } as unknown as ReplicaSet;
}
