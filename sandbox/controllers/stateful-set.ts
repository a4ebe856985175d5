import { isDeepStrictEqual } from 'node:util';
import { adopters, claim } from './adoption.ts';
import { ignoring } from './client/api.ts';
import { CLAIMS } from './client/kinds.ts';
import type { Pod, PodTemplate, StatefulSet } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import { isActive, isReady, podFrom, untilAvailable } from './pod-facts.ts';
import { ensureRevision, type Revisions, revisionTemplate } from './revisions.ts';
import { type OrdinalFacts, planStatefulSet } from './stateful-set-decision.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'StatefulSet' };
const REVISION_LABEL = 'controller-revision-hash';

/** Keeps pods with fixed names, made and updated in order. */
export function statefulSetController(cluster: Cluster): Controller {
  const { pods, statefulSets } = cluster;
  return {
    name: 'statefulset',
    listen: (enqueue) => {
      onObjects(statefulSets.cache, enqueue);
      onOwned(pods.cache, 'StatefulSet', enqueue, (pod) => adopters(statefulSets.cache, pod));
    },
    reconcile: async (key) => {
      const set = statefulSets.cache.byKey(key);
      return set && !set.metadata.deletionTimestamp ? reconcile(cluster, set) : undefined;
    },
  };
}

async function reconcile(cluster: Cluster, set: StatefulSet): Promise<Again> {
  const { pods, clock } = cluster;
  const { replicas = 1, ordinals, podManagementPolicy, updateStrategy, minReadySeconds = 0 } = set.spec;
  const owner = { ...OWNER, metadata: set.metadata };
  const claimed = await claim(pods, owner, set.spec.selector);
  const revisions = await ensureRevision(cluster, owner, set.spec.template, {
    current: set.status?.currentRevision,
    limit: set.spec.revisionHistoryLimit ?? 10,
    inUse: claimed.map((pod) => pod.metadata.labels?.[REVISION_LABEL] ?? ''),
    collisions: set.status?.collisionCount ?? 0,
  });
  const nowMs = clock.now().getTime();
  const facts = claimed.flatMap((pod) => ordinalFacts(set, pod, minReadySeconds, nowMs) ?? []);
  const plan = planStatefulSet({
    replicas,
    start: ordinals?.start ?? 0,
    parallel: podManagementPolicy === 'Parallel',
    onDelete: updateStrategy?.type === 'OnDelete',
    partition: updateStrategy?.rollingUpdate?.partition ?? 0,
    currentRevision: revisions.current,
    updateRevision: revisions.update,
    pods: facts,
  });
  for (const { ordinal, revision } of plan.create)
    await createPod(cluster, set, ordinal, revision, revisions);
  for (const ordinal of plan.remove) {
    const pod = pods.cache.get(set.metadata.namespace, `${set.metadata.name}-${ordinal}`);
    if (pod) await pods.remove(pod);
  }
  await reportStatus(cluster, set, revisions, nowMs);
  const waits = claimed.flatMap((pod) => untilAvailable(pod, minReadySeconds, nowMs) || []);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

function ordinalFacts(
  { metadata }: StatefulSet,
  pod: Pod,
  minReadySeconds: number,
  nowMs: number,
): OrdinalFacts | undefined {
  const [, ordinal] = /^(?:.*)-(\d+)$/.exec(pod.metadata.name) ?? [];
  if (ordinal === undefined || pod.metadata.name !== `${metadata.name}-${ordinal}`) return undefined;
  return {
    ordinal: Number(ordinal),
    revision: pod.metadata.labels?.[REVISION_LABEL],
    ready: isReady(pod),
    available: untilAvailable(pod, minReadySeconds, nowMs) === 0,
    terminating: pod.metadata.deletionTimestamp !== undefined,
    over: pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded',
  };
}

async function createPod(
  { api, pods }: Cluster,
  set: StatefulSet,
  ordinal: number,
  revision: string,
  revisions: Revisions,
): Promise<void> {
  const { namespace } = set.metadata;
  const name = `${set.metadata.name}-${ordinal}`;
  const template: PodTemplate = revisionTemplate(revisions, revision) ?? set.spec.template;
  const draft = podFrom(template, name, namespace, { ...OWNER, metadata: set.metadata });
  Object.assign(draft.metadata.labels, {
    'statefulset.kubernetes.io/pod-name': name,
    'apps.kubernetes.io/pod-index': String(ordinal),
    [REVISION_LABEL]: revision,
  });
  const claims = (set.spec.volumeClaimTemplates ?? []).map((claimed) => {
    const volume = claimed.metadata?.name ?? '';
    return { volume, name: `${volume}-${name}`, claimed };
  });
  for (const { name: claimName, claimed } of claims) {
    const { labels = {} } = claimed.metadata ?? {};
    const metadata = { name: claimName, namespace, labels };
    await ignoring([409], api.create(CLAIMS, { ...claimed, metadata }));
  }
  const own = claims.map(({ volume, name: claimName }) => ({
    name: volume,
    persistentVolumeClaim: { claimName },
  }));
  const others = (draft.spec.volumes ?? []).filter((volume) => !claims.some((c) => c.volume === volume.name));
  const { serviceName } = set.spec;
  const spec = {
    ...draft.spec,
    hostname: name,
    ...(serviceName ? { subdomain: serviceName } : {}),
    ...(own.length > 0 ? { volumes: [...own, ...others] } : {}),
  };
  await pods.create({ ...draft, spec });
}

async function reportStatus(
  { pods, statefulSets }: Cluster,
  set: StatefulSet,
  revisions: Revisions,
  nowMs: number,
): Promise<void> {
  const { replicas = 1, minReadySeconds = 0, updateStrategy } = set.spec;
  const owned = pods.cache.ownedBy(set.metadata.uid);
  const alive = owned.filter(isActive);
  const count = (fits: (pod: Pod) => boolean) => alive.filter(fits).length;
  const at = (revision: string) => count(({ metadata }) => metadata.labels?.[REVISION_LABEL] === revision);
  const updated = at(revisions.update);
  const ready = count(isReady);
  // The update is over when every pod has the new revision and works: then it is the current one.
  const partition = updateStrategy?.rollingUpdate?.partition ?? 0;
  const complete =
    updateStrategy?.type !== 'OnDelete' &&
    partition === 0 &&
    updated === replicas &&
    ready === replicas &&
    owned.length === replicas;
  const currentRevision = complete ? revisions.update : revisions.current;
  const { conditions, collisionCount } = set.status ?? {};
  const status = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: owned.length,
    readyReplicas: ready,
    currentReplicas: at(currentRevision),
    updatedReplicas: updated,
    availableReplicas: count((pod) => untilAvailable(pod, minReadySeconds, nowMs) === 0),
    currentRevision,
    updateRevision: revisions.update,
    collisionCount: collisionCount ?? 0,
    ...(conditions ? { conditions } : {}),
  };
  const zeros = { readyReplicas: 0, currentReplicas: 0, updatedReplicas: 0, collisionCount: 0 };
  if (!isDeepStrictEqual({ ...zeros, ...set.status }, status))
    await statefulSets.updateStatus({ ...set, status });
}
