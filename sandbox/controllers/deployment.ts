import { adopters, claim } from './adoption.ts';
import { controllerOf } from './client/object-store.ts';
import type { Deployment, ReplicaSet } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import {
  annotationsOf,
  byCreation,
  created,
  expired,
  findFresh,
  isScaling,
  REVISION,
  sameAnnotations,
  scaleAnnotations,
} from './deployment-revisions.ts';
import { createReplicaSet, reportDeployment } from './deployment-writes.ts';
import {
  freshReplicas,
  planProportional,
  planRecreate,
  planRollout,
  resolveBounds,
  type Scale,
  type ScaleFacts,
} from './rollout-decision.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'Deployment' };

/** Brings the pods of a Deployment from one template to the next by scaling ReplicaSets. */
export function deploymentController(cluster: Cluster): Controller {
  const { deployments, replicaSets, pods } = cluster;
  return {
    name: 'deployment',
    listen: (enqueue) => {
      onObjects(deployments.cache, enqueue);
      onOwned(replicaSets.cache, 'Deployment', enqueue, (set) => adopters(deployments.cache, set));
      // Recreate waits for the end of old pods, which a ReplicaSet stops counting when they begin to go away.
      pods.cache.onChange(({ before, after }) => {
        if (after || !before) return;
        const set = replicaSets.cache.get(before.metadata.namespace, controllerOf(before)?.name ?? '');
        const owner = controllerOf(set);
        if (set && owner) enqueue(`${set.metadata.namespace}/${owner.name}`);
      });
    },
    reconcile: async (key) => {
      const deployment = deployments.cache.byKey(key);
      return deployment ? reconcile(cluster, deployment) : undefined;
    },
  };
}

interface Sets {
  readonly fresh: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

async function reconcile(cluster: Cluster, deployment: Deployment): Promise<Again> {
  const owner = { ...OWNER, metadata: deployment.metadata };
  const sets = split(deployment, await claim(cluster.replicaSets, owner, deployment.spec.selector));
  if (deployment.metadata.deletionTimestamp) return reportDeployment(cluster, deployment, sets);
  const all = [...sets.old, ...(sets.fresh ? [sets.fresh] : [])];
  if (deployment.spec.paused || isScaling(deployment, all)) {
    await rescale(cluster, deployment, all);
    return reportDeployment(cluster, deployment, current(cluster, deployment));
  }
  const oldPods = sets.old.flatMap(({ metadata }) => cluster.pods.cache.ownedBy(metadata.uid));
  const stillRunning = oldPods.filter(
    ({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed',
  ).length;
  const recreate = deployment.spec.strategy?.type === 'Recreate';
  const waits = recreate && (stillRunning > 0 || sets.old.some(({ spec }) => (spec.replicas ?? 0) > 0));
  const fresh = sets.fresh ?? (waits ? undefined : await createFresh(cluster, deployment, sets.old));
  const noted = fresh && (await noteRevision(cluster, deployment, { fresh, old: sets.old }));
  const bounds = resolveBounds(deployment.spec.replicas ?? 1, deployment.spec.strategy?.rollingUpdate);
  const facts = {
    replicas: deployment.spec.replicas ?? 1,
    ...bounds,
    fresh: noted ? scaleFacts(noted) : { name: '', replicas: 0, available: 0, created: 0 },
    old: sets.old.map(scaleFacts),
  };
  await scale(cluster, deployment, recreate ? planRecreate(facts, stillRunning) : planRollout(facts));
  const after = current(cluster, deployment);
  const finished = (after.fresh?.status?.availableReplicas ?? 0) >= facts.replicas;
  if (finished) for (const set of expired(deployment, after.old)) await cluster.replicaSets.remove(set);
  return reportDeployment(cluster, deployment, current(cluster, deployment));
}

function split(deployment: Deployment, sets: readonly ReplicaSet[]): Sets {
  const fresh = findFresh(deployment.spec.template, sets);
  return { fresh, old: byCreation(sets.filter((set) => set !== fresh)) };
}

function current({ replicaSets }: Cluster, deployment: Deployment): Sets {
  return split(deployment, replicaSets.cache.ownedBy(deployment.metadata.uid));
}

function scaleFacts(set: ReplicaSet): ScaleFacts {
  return {
    name: set.metadata.name,
    replicas: set.spec.replicas ?? 1,
    available: set.status?.availableReplicas ?? 0,
    created: created(set),
  };
}

async function createFresh(
  cluster: Cluster,
  deployment: Deployment,
  old: readonly ReplicaSet[],
): Promise<ReplicaSet> {
  const replicas = deployment.spec.replicas ?? 1;
  const recreate = deployment.spec.strategy?.type === 'Recreate';
  const bounds = resolveBounds(replicas, deployment.spec.strategy?.rollingUpdate);
  const none = { name: '', replicas: 0, available: 0, created: 0 };
  const first = recreate
    ? replicas
    : freshReplicas({ replicas, ...bounds, fresh: none, old: old.map(scaleFacts) });
  const maxSurge = recreate ? 0 : bounds.maxSurge;
  const annotations = annotationsOf({ deployment, old, maxSurge, current: undefined });
  return createReplicaSet(cluster, deployment, first, annotations);
}

/** Gives the current set the highest revision, also when a rollback made an old set the current one again. */
async function noteRevision(
  { replicaSets, deployments }: Cluster,
  deployment: Deployment,
  { fresh, old }: { fresh: ReplicaSet; old: readonly ReplicaSet[] },
): Promise<ReplicaSet> {
  const { maxSurge } = bounds(deployment);
  const known = fresh.metadata.annotations;
  const annotations = annotationsOf({ deployment, old, maxSurge, current: known });
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const same = sameAnnotations(annotations, known) && (fresh.spec.minReadySeconds ?? 0) === minReadySeconds;
  const noted = same
    ? fresh
    : await replicaSets.update({
        ...fresh,
        metadata: { ...fresh.metadata, annotations },
        spec: { ...fresh.spec, minReadySeconds },
      });
  const revision = annotations[REVISION];
  if (revision !== undefined && deployment.metadata.annotations?.[REVISION] !== revision) {
    await deployments.update({
      ...deployment,
      metadata: {
        ...deployment.metadata,
        annotations: { ...deployment.metadata.annotations, [REVISION]: revision },
      },
    });
  }
  return noted;
}

function bounds(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  const { strategy, replicas = 1 } = deployment.spec;
  if (strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  return resolveBounds(replicas, strategy?.rollingUpdate);
}

/** Follows a changed number of replicas without going on with the rollout. */
async function rescale(cluster: Cluster, deployment: Deployment, sets: readonly ReplicaSet[]): Promise<void> {
  const replicas = deployment.spec.replicas ?? 1;
  const active = sets.filter(({ spec }) => (spec.replicas ?? 0) > 0);
  const [only] = active.length === 0 ? sets.slice(-1) : active;
  if (active.length <= 1) {
    if (only) await scale(cluster, deployment, [{ name: only.metadata.name, replicas }], true);
    return;
  }
  const { maxSurge } = bounds(deployment);
  const plan = planProportional(active.map(scaleFacts), replicas > 0 ? replicas + maxSurge : 0);
  const unchanged = active
    .filter(({ metadata }) => !plan.some(({ name }) => name === metadata.name))
    .map(({ metadata, spec }) => ({ name: metadata.name, replicas: spec.replicas ?? 1 }));
  await scale(cluster, deployment, [...plan, ...unchanged], true);
}

async function scale(
  { replicaSets }: Cluster,
  deployment: Deployment,
  plan: readonly Scale[],
  annotate = false,
): Promise<void> {
  const notes = scaleAnnotations(deployment.spec.replicas ?? 1, bounds(deployment).maxSurge);
  for (const { name, replicas } of plan) {
    const set = replicaSets.cache.get(deployment.metadata.namespace, name);
    if (!set) continue;
    const annotations = { ...set.metadata.annotations, ...notes };
    const noted = !annotate || sameAnnotations(annotations, set.metadata.annotations);
    if (set.spec.replicas === replicas && noted) continue;
    await replicaSets.update({
      ...set,
      metadata: { ...set.metadata, annotations },
      spec: { ...set.spec, replicas },
    });
  }
}
