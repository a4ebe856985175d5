import { isDeepStrictEqual } from 'node:util';
import { adopters, claim } from './adoption.ts';
import { keyOf } from './client/object-store.ts';
import { matchesAll } from './client/selector.ts';
import type { DaemonSet, Node, Pod } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import { planDaemonSet } from './daemon-set-decision.ts';
import { generatedName } from './names.ts';
import { isActive, isReady, podFrom, untilAvailable } from './pod-facts.ts';
import { ensureRevision } from './revisions.ts';
import { resolveCount } from './rollout-decision.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'DaemonSet' };
const REVISION_LABEL = 'controller-revision-hash';

/** Keeps one pod on every node that fits. */
export function daemonSetController(cluster: Cluster): Controller {
  const { pods, daemonSets, nodes } = cluster;
  return {
    name: 'daemonset',
    listen: (enqueue) => {
      onObjects(daemonSets.cache, enqueue);
      onOwned(pods.cache, 'DaemonSet', enqueue, (pod) => adopters(daemonSets.cache, pod));
      nodes.cache.onChange(() => {
        for (const set of daemonSets.cache.list()) enqueue(keyOf(set));
      });
    },
    reconcile: async (key) => {
      const set = daemonSets.cache.byKey(key);
      return set && !set.metadata.deletionTimestamp ? reconcile(cluster, set) : undefined;
    },
  };
}

async function reconcile(cluster: Cluster, set: DaemonSet): Promise<Again> {
  const { pods, clock, nodes } = cluster;
  const { template, minReadySeconds = 0, updateStrategy } = set.spec;
  const owner = { ...OWNER, metadata: set.metadata };
  const claimed = await claim(pods, owner, set.spec.selector);
  const { update } = await ensureRevision(cluster, owner, template, {
    current: undefined,
    limit: set.spec.revisionHistoryLimit ?? 10,
    inUse: [],
    collisions: set.status?.collisionCount ?? 0,
  });
  const hash = update.slice(set.metadata.name.length + 1);
  const nowMs = clock.now().getTime();
  const fitting = nodes.cache.list().filter((node) => fitsNode(set, node));
  const facts = (pod: Pod) => ({
    name: pod.metadata.name,
    node: nodeOf(pod),
    updated: pod.metadata.labels?.[REVISION_LABEL] === hash,
    available: isActive(pod) && untilAvailable(pod, minReadySeconds, nowMs) === 0,
    terminating: pod.metadata.deletionTimestamp !== undefined,
    over: pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded',
  });
  const maxUnavailable = resolveCount(
    updateStrategy?.rollingUpdate?.maxUnavailable ?? 1,
    fitting.length,
    'up',
  );
  const plan = planDaemonSet({
    nodes: fitting.map(({ metadata }) => metadata.name),
    pods: claimed.map(facts),
    onDelete: updateStrategy?.type === 'OnDelete',
    maxUnavailable: Math.max(1, maxUnavailable),
  });
  await Promise.all([
    ...plan.create.map((node) => createPod(cluster, set, node, hash)),
    ...plan.remove.map((name) => {
      const pod = pods.cache.get(set.metadata.namespace, name);
      return pod && pods.remove(pod);
    }),
  ]);
  const alive = pods.cache.ownedBy(set.metadata.uid).filter(isActive);
  await reportStatus(cluster, set, fitting, alive.map(facts), alive.filter(isReady).length);
  const waits = alive.flatMap((pod) => untilAvailable(pod, minReadySeconds, nowMs) || []);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

function fitsNode({ spec }: DaemonSet, { metadata }: Node): boolean {
  return matchesAll(spec.template.spec?.nodeSelector ?? {}, metadata.labels);
}

/** The node a pod is on or meant for. */
function nodeOf({ spec }: Pod): string {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return spec.nodeName ?? terms?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0] ?? '';
}

async function createPod({ pods }: Cluster, set: DaemonSet, node: string, hash: string): Promise<void> {
  const { name, namespace } = set.metadata;
  const owner = { ...OWNER, metadata: set.metadata };
  const draft = podFrom(set.spec.template, generatedName(`${name}-`), namespace, owner);
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  const { affinity, tolerations = [] } = draft.spec;
  const nodeAffinity = {
    ...affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
  };
  const stays = ['not-ready', 'unreachable', 'unschedulable'].map((state) => ({
    key: `node.kubernetes.io/${state}`,
    operator: 'Exists',
  }));
  await pods.create({
    ...draft,
    metadata: { ...draft.metadata, labels: { ...draft.metadata.labels, [REVISION_LABEL]: hash } },
    spec: { ...draft.spec, affinity: { ...affinity, nodeAffinity }, tolerations: [...tolerations, ...stays] },
  });
}

interface Counted {
  readonly node: string;
  readonly updated: boolean;
  readonly available: boolean;
}

async function reportStatus(
  { daemonSets }: Cluster,
  set: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Counted[],
  ready: number,
): Promise<void> {
  const names = new Set(nodes.map(({ metadata }) => metadata.name));
  const placed = pods.filter(({ node }) => names.has(node));
  const available = placed.filter((pod) => pod.available).length;
  const status = {
    currentNumberScheduled: new Set(placed.map(({ node }) => node)).size,
    numberMisscheduled: pods.length - placed.length,
    desiredNumberScheduled: nodes.length,
    numberReady: ready,
    observedGeneration: set.metadata.generation ?? 0,
    updatedNumberScheduled: placed.filter(({ updated }) => updated).length,
    numberAvailable: available,
    numberUnavailable: nodes.length - available,
  };
  const zeros = { updatedNumberScheduled: 0, numberAvailable: 0, numberUnavailable: 0 };
  if (!isDeepStrictEqual({ ...zeros, ...set.status }, status))
    await daemonSets.updateStatus({ ...set, status });
}
