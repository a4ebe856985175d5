import { isDeepStrictEqual } from 'node:util';
import { statusOf } from './client/api.ts';
import type { Deployment, ReplicaSet } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import type { Cluster } from './controller.ts';
import { HASH_LABEL } from './deployment-revisions.ts';
import { type Condition, decideStatus, type SetFacts, withTimes } from './deployment-status.ts';
import { hashOf } from './names.ts';
import { controllerReference } from './pod-facts.ts';
import { resolveBounds } from './rollout-decision.ts';

/** Makes the set of the current template, and says so in the Progressing condition: the deadline begins anew. */
export async function createReplicaSet(
  cluster: Cluster,
  deployment: Deployment,
  replicas: number,
  annotations: Record<string, string>,
): Promise<ReplicaSet> {
  const { template, selector, minReadySeconds } = deployment.spec;
  const { name, namespace } = deployment.metadata;
  const hash = hashOf(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
  try {
    const made = await cluster.replicaSets.create({
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels,
        annotations,
        ownerReferences: [
          controllerReference({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: deployment.metadata }),
        ],
      },
      spec: {
        replicas,
        ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    });
    await saySetCreated(cluster, deployment, made.metadata.name);
    return made;
  } catch (error) {
    if (statusOf(error) === 409) await countCollision(cluster, deployment, `${name}-${hash}`);
    throw error;
  }
}

async function saySetCreated(cluster: Cluster, deployment: Deployment, set: string): Promise<void> {
  if (deployment.spec.progressDeadlineSeconds === undefined) return;
  const old = deployment.status?.conditions ?? [];
  const now = cluster.clock
    .now()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');
  const said: Condition = withTimes(now, old, {
    type: 'Progressing',
    status: 'True',
    reason: 'NewReplicaSetCreated',
    message: `Created new replica set "${set}"`,
  });
  const conditions = [...old.filter(({ type }) => type !== 'Progressing'), said];
  await write(cluster, deployment, { ...deployment.status, conditions });
}

/** Another template's set has the name already: the next attempt mixes a count into the hash. */
async function countCollision(cluster: Cluster, deployment: Deployment, name: string): Promise<void> {
  const taken = cluster.replicaSets.cache.get(deployment.metadata.namespace, name);
  if (!taken) return;
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  await write(cluster, deployment, { ...deployment.status, collisionCount });
}

/** The Deployment with what this very attempt wrote to it already. */
function latest({ deployments }: Cluster, deployment: Deployment): Deployment {
  const known = deployments.cache.get(deployment.metadata.namespace, deployment.metadata.name);
  return known?.metadata.uid === deployment.metadata.uid ? known : deployment;
}

async function write(
  cluster: Cluster,
  deployment: Deployment,
  status: NonNullable<Deployment['status']>,
): Promise<void> {
  await cluster.deployments.updateStatus({ ...latest(cluster, deployment), status });
}

export interface ReportedSets {
  readonly fresh: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/** Writes the status if it says anything new. Returns when to look again. */
export async function reportDeployment(
  cluster: Cluster,
  deployment: Deployment,
  { fresh, old }: ReportedSets,
): Promise<Again> {
  const before = latest(cluster, deployment).status ?? {};
  const { replicas = 1, strategy, paused, progressDeadlineSeconds } = deployment.spec;
  const rolling = strategy?.type !== 'Recreate';
  const { status, againMs } = decideStatus({
    generation: deployment.metadata.generation ?? 0,
    replicas,
    maxUnavailable: rolling ? resolveBounds(replicas, strategy?.rollingUpdate).maxUnavailable : 0,
    progressDeadlineSeconds,
    paused: paused ?? false,
    fresh: fresh && setFacts(fresh),
    all: [...old, ...(fresh ? [fresh] : [])].map(setFacts),
    before,
    nowMs: cluster.clock.now().getTime(),
  });
  const shown = Object.fromEntries(
    Object.entries(status).filter(([name, value]) => value !== 0 || name === 'observedGeneration'),
  );
  if (!isDeepStrictEqual(shown, { ...before })) await write(cluster, deployment, shown);
  return againMs;
}

function setFacts({ metadata, spec, status }: ReplicaSet): SetFacts {
  return {
    name: metadata.name,
    wanted: spec.replicas ?? 1,
    replicas: status?.replicas ?? 0,
    ready: status?.readyReplicas ?? 0,
    available: status?.availableReplicas ?? 0,
  };
}
