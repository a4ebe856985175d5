import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { formatDuration, parseDuration } from '../../../core/duration.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, Clusters, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { assertDelivered } from '../../kubernetes/delivered.ts';
import { lastProgressMs } from '../../kubernetes/last-progress.ts';
import { podsOn } from '../../kubernetes/pod-evidence.ts';
import { backToVersion, toVersion } from '../../kubernetes/template-version.ts';
import { notBetween, type WayBack } from '../../kubernetes/way-back.ts';
import { selectorOf, versionAnnotation } from '../../kubernetes/workloads.ts';
import {
  type ConsumerProof,
  type Going,
  goneProof,
  type Known,
  type MovedWorkload,
  type NotYet,
  type Rollout,
  type RolloutSession,
} from '../rollout.ts';
import { argoObstacle, argoProgress, type Paused, promoteCommand } from './progress.ts';
import { type ArgoRolloutsSpec, argoRolloutsSpec } from './spec.ts';

const POD = { apiVersion: 'v1', kind: 'Pod' };

/**
 * Argo Rollouts brings the change to the pods by the strategy that the Rollout's owner chose: its steps, analyses and
 * promotions are part of it. A Rollout that degrades is aborted at once, so that its stable pods serve alone, and gets the
 * template of before.
 */
export function argoRolloutsRollout({
  clusters,
}: {
  readonly clusters: Clusters;
}): Rollout<ArgoRolloutsSpec> {
  return {
    kind: 'argoRollouts',
    spec: argoRolloutsSpec,
    open: (consumer, spec) => new ArgoRolloutsSession(consumer, clusters, spec),
  };
}

class ArgoRolloutsSession implements RolloutSession {
  readonly consumer: string;
  readonly moves: MovedWorkload;
  readonly provesAgain = true;
  readonly #clusters: Clusters;
  readonly #spec: ArgoRolloutsSpec;
  readonly #ref: ObjectRef;
  readonly #annotation: string;

  constructor(consumer: string, clusters: Clusters, spec: ArgoRolloutsSpec) {
    this.consumer = consumer;
    this.#clusters = clusters;
    this.#spec = spec;
    const { namespace, rollout: name } = spec;
    this.#ref = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', namespace, name };
    this.moves = { ...this.#ref, context: spec.context };
    this.#annotation = versionAnnotation(spec.secretName);
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const rollout = await this.#read(call, cluster);
    await assertAllowed(call, cluster, 'patch', this.#ref);
    await assertAllowed(call, cluster, 'patch', this.#ref, 'status');
    await assertAllowed(call, cluster, 'list', { ...this.#ref, ...POD, name: '' });
    const obstacle = argoObstacle(rollout);
    if (obstacle)
      throw new RotorError('rollout.unhealthy', {
        what: `${this.#name(cluster)}: ${obstacle}`,
        hint: 'Bring it to a healthy state first; nothing has been changed.',
      });
  }

  async move(
    call: Call,
    credential: Credential,
    going: Going,
    _windowMs?: number,
    known?: Known,
  ): Promise<ConsumerProof | NotYet> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { namespace, secretName: name } = this.#spec;
    const { versionId } = credential;
    if (going === 'back' && !(await cluster.read(call, this.#ref)))
      return goneProof(this.consumer, this.#name(cluster));
    const secret = await assertDelivered(call, cluster, { namespace, name }, versionId);
    const found = await this.#read(call, cluster);
    const { workload, wanted } =
      going === 'forward'
        ? await toVersion(call, cluster, this.#ref, found, this.#annotation, versionId, secret)
        : await backToVersion(call, cluster, this.#ref, found, this.#annotation, versionId, name);
    const progress = argoProgress(workload);
    switch (progress.state) {
      case 'degraded':
        // On the way back it may still say what it said before it got the template of before.
        if (going === 'back') return this.#onTheWay(call, cluster, workload, wanted, progress.detail);
        if (!progress.aborted) await cluster.patchStatus(call, this.#ref, { abort: true });
        throw this.#unhealthy(cluster, progress.detail);
      case 'paused':
        return this.#atPause(call, cluster, workload, progress);
      case 'moving':
        return this.#onTheWay(call, cluster, workload, wanted, progress.detail);
      case 'done': {
        const proof = await this.#proof(call, cluster, workload, credential, wanted);
        if (going === 'forward' || 'notYet' in proof) return proof;
        return this.#asBefore(call, cluster, { workload, secret, wanted }, proof, known);
      }
    }
  }

  async #proof(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    credential: Credential,
    wanted: string | undefined,
  ): Promise<ConsumerProof | NotYet> {
    // Those of before are kept for a while after a promotion (scaleDownDelaySeconds), and use the old credential.
    const pods = await podsOn(call, cluster, workload, this.#annotation, wanted);
    const behind = pods.find(({ onVersion, ready }) => !onVersion || !ready);
    if (behind) {
      const detail = `pod ${behind.name} of another template, or not ready, is still there`;
      return this.#onTheWay(call, cluster, workload, wanted, detail);
    }
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail:
        wanted === credential.versionId
          ? `${this.#name(cluster)}: healthy and stable, all ${pods.length} pods started with this version in their template`
          : `${this.#name(cluster)}: healthy and stable, all ${pods.length} pods have the template of before`,
      pods,
    };
  }

  /** Pods that are made anew come by the steps of the strategy, as any others. */
  async #asBefore(
    call: Call,
    cluster: Cluster,
    back: Pick<WayBack, 'workload' | 'secret' | 'wanted'>,
    proof: ConsumerProof,
    known: Known | undefined,
  ): Promise<ConsumerProof | NotYet> {
    const wayBack = {
      ...back,
      ref: this.#ref,
      annotation: this.#annotation,
      changedSince: known?.changedSince,
    };
    const seen = await notBetween(call, cluster, wayBack, proof.pods ?? []);
    return 'notYet' in seen ? { notYet: `${this.#name(cluster)}: ${seen.notYet}` } : { ...proof, ...seen };
  }

  /** Whether the pods are good enough to go on is its owner's decision, unless the policy says otherwise. */
  async #atPause(
    call: Call,
    cluster: Cluster,
    { status }: ClusterObject,
    { detail, endsByItself, ofStrategy }: Paused,
  ): Promise<NotYet> {
    const name = this.#name(cluster);
    if (this.#spec.promote && ofStrategy) {
      if (status?.promoteFull !== true) await cluster.patchStatus(call, this.#ref, { promoteFull: true });
      return { notYet: `${name}: ${detail}; the policy has it promoted` };
    }
    if (endsByItself) return { notYet: `${name}: ${detail}` };
    return { notYet: `${name}: ${detail}; to go on: ${promoteCommand(cluster.name, this.#ref)}` };
  }

  async #onTheWay(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    wanted: string | undefined,
    detail: string,
  ): Promise<NotYet> {
    const { namespace, timeout } = this.#spec;
    if (timeout !== undefined) {
      const pods = await cluster.list(call, { ...POD, namespace }, selectorOf(workload));
      const fresh = pods.filter(({ metadata }) => metadata?.annotations?.[this.#annotation] === wanted);
      const last = lastProgressMs(workload, fresh) ?? Number.POSITIVE_INFINITY;
      const stoodMs = call.clock.now().getTime() - last;
      if (stoodMs > (parseDuration(timeout) ?? 0))
        throw this.#unhealthy(cluster, `${detail}, and nothing has moved for ${formatDuration(stoodMs)}`);
    }
    return { notYet: `${this.#name(cluster)}: ${detail}` };
  }

  #unhealthy(cluster: Cluster, detail: string): RotorError {
    const { namespace, name } = this.#ref;
    return new RotorError('rollout.unhealthy', {
      what: `${this.#name(cluster)}: ${detail}`,
      hint: `kubectl argo rollouts --context ${cluster.name} -n ${namespace} get rollout ${name}`,
    });
  }

  async #read(call: Call, cluster: Cluster): Promise<ClusterObject> {
    const found = await cluster.read(call, this.#ref);
    if (found) return found;
    throw new RotorError('cluster.not-found', {
      what: `consumer ${this.consumer}: there is no ${this.#name(cluster)}`,
    });
  }

  #name(cluster: Cluster): string {
    const { namespace, name } = this.#ref;
    return `rollout ${namespace}/${name} in cluster ${cluster.name}`;
  }
}
