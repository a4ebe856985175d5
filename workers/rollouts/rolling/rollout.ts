import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { formatDuration, parseDuration } from '../../../core/duration.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, Clusters, ObjectRef } from '../../kubernetes/cluster.ts';
import { assertDelivered } from '../../kubernetes/delivered.ts';
import { lastProgressMs } from '../../kubernetes/last-progress.ts';
import { assertAllowed } from '../../kubernetes/permissions.ts';
import { podsOn } from '../../kubernetes/pod-evidence.ts';
import { backToVersion, toVersion } from '../../kubernetes/template-version.ts';
import {
  obstacleOf,
  progressOf,
  selectorOf,
  versionAnnotation,
  workloadRef,
} from '../../kubernetes/workloads.ts';
import {
  type ConsumerProof,
  type Going,
  goneProof,
  type MovedWorkload,
  type NotYet,
  type Rollout,
  type RolloutSession,
} from '../rollout.ts';
import { type RollingSpec, rollingSpec } from './spec.ts';

const POD = { apiVersion: 'v1', kind: 'Pod' };
const SETS_TIMEOUT = '10m';

/**
 * The workload's own controller replaces its pods, as it does for any change of the template: surge, disruption budgets
 * and probes are those that its owner chose.
 */
export function rollingRollout({ clusters }: { readonly clusters: Clusters }): Rollout<RollingSpec> {
  return {
    kind: 'rolling',
    spec: rollingSpec,
    open: (consumer, spec) => new RollingSession(consumer, clusters, spec),
  };
}

class RollingSession implements RolloutSession {
  readonly consumer: string;
  readonly moves: MovedWorkload;
  readonly #clusters: Clusters;
  readonly #spec: RollingSpec;
  readonly #ref: ObjectRef;
  readonly #annotation: string;

  constructor(consumer: string, clusters: Clusters, spec: RollingSpec) {
    this.consumer = consumer;
    this.#clusters = clusters;
    this.#spec = spec;
    this.#ref = refOfSpec(spec);
    this.moves = { ...this.#ref, context: spec.context };
    this.#annotation = versionAnnotation(spec.secretName);
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await this.#read(call, cluster);
    await assertAllowed(call, cluster, 'patch', this.#ref);
    await assertAllowed(call, cluster, 'list', { ...this.#ref, apiVersion: 'v1', kind: 'Pod', name: '' });
    const obstacle = obstacleOf(workload);
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
    windowMs = 0,
  ): Promise<ConsumerProof | NotYet> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { namespace, secretName: name } = this.#spec;
    const { versionId } = credential;
    if (going === 'back' && !(await cluster.read(call, this.#ref)))
      return goneProof(this.consumer, this.#name(cluster));
    const secret = await assertDelivered(call, cluster, { namespace, name }, versionId);
    const found = await this.#read(call, cluster);
    const { workload, wanted, waiting } =
      going === 'forward'
        ? await toVersion(call, cluster, this.#ref, found, this.#annotation, versionId, secret, windowMs)
        : await backToVersion(call, cluster, this.#ref, found, this.#annotation, versionId, name);
    if (waiting) return { notYet: `${this.#name(cluster)}: ${waiting}` };
    const progress = progressOf(workload);
    if (progress.state === 'stuck')
      throw new RotorError('rollout.unhealthy', {
        what: `${this.#name(cluster)}: ${progress.detail}`,
        // Right after the way back began, the controller still says what it said of the way forward.
        ...(going === 'back' ? { kind: 'retryable' as const } : {}),
        hint: `kubectl --context ${cluster.name} -n ${this.#ref.namespace} describe ${this.#ref.kind.toLowerCase()} ${this.#ref.name}`,
      });
    if (progress.state === 'moving') {
      await this.#assertProgress(call, cluster, workload, wanted, progress.detail);
      return { notYet: `${this.#name(cluster)}: ${progress.detail}` };
    }
    const pods = await podsOn(call, cluster, workload, this.#annotation, wanted);
    const behind = pods.filter(({ onVersion, ready }) => !onVersion || !ready);
    if (behind.length > 0)
      return {
        notYet: `pod ${behind[0]?.name} is not on the ${going === 'forward' ? 'new' : 'previous'} version yet`,
      };
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail:
        wanted === credential.versionId
          ? `${this.#name(cluster)}: all ${pods.length} pods started with this version in their template`
          : `${this.#name(cluster)}: all ${pods.length} pods have the template of before`,
      pods,
    };
  }

  /** A Deployment's own controller has a deadline for progress; those of the other kinds wait for ever. */
  async #assertProgress(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    wanted: string | undefined,
    detail: string,
  ): Promise<void> {
    const timeout = this.#spec.timeout ?? (this.#spec.deployment ? undefined : SETS_TIMEOUT);
    if (timeout === undefined) return;
    const { apiVersion, kind } = POD;
    const { namespace } = this.#ref;
    const pods = await cluster.list(call, { apiVersion, kind, namespace }, selectorOf(workload));
    const fresh = pods.filter(({ metadata }) => metadata?.annotations?.[this.#annotation] === wanted);
    const last = lastProgressMs(workload, fresh);
    // The cluster's clock against the worker's: whole seconds, and what they differ by.
    const stoodMs = call.clock.now().getTime() - (last ?? Number.POSITIVE_INFINITY);
    if (stoodMs <= (parseDuration(timeout) ?? 0)) return;
    throw new RotorError('rollout.unhealthy', {
      what: `${this.#name(cluster)}: ${detail}, and nothing has moved for ${formatDuration(stoodMs)}`,
      hint: `kubectl --context ${cluster.name} -n ${namespace} describe ${this.#ref.kind.toLowerCase()} ${this.#ref.name}`,
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
    const { kind, namespace, name } = this.#ref;
    return `${kind.toLowerCase()} ${namespace}/${name} in cluster ${cluster.name}`;
  }
}

function refOfSpec({ deployment, statefulSet, daemonSet, namespace }: RollingSpec): ObjectRef {
  if (deployment) return workloadRef('Deployment', namespace, deployment);
  if (statefulSet) return workloadRef('StatefulSet', namespace, statefulSet);
  return workloadRef('DaemonSet', namespace, daemonSet ?? '');
}
