import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { formatDuration, parseDuration } from '../../../core/duration.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  type Clusters,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { assertDelivered, type DeliveredSecret } from '../../kubernetes/delivered.ts';
import { lastProgressMs } from '../../kubernetes/last-progress.ts';
import type { MountSpec } from '../../kubernetes/mounts/decide.ts';
import { assertMounted, mountBaseline, podsMounting } from '../../kubernetes/mounts/look.ts';
import { podsOn } from '../../kubernetes/pod-evidence.ts';
import { removeStuck } from '../../kubernetes/stuck-pods.ts';
import { annotated } from '../../kubernetes/template-change.ts';
import { backToVersion, toVersion } from '../../kubernetes/template-version.ts';
import { notBetween } from '../../kubernetes/way-back.ts';
import { obstacleOf, progressOf, selectorOf } from '../../kubernetes/workloads.ts';
import { budgetWarnings, heldByBudget } from '../budgets.ts';
import { annotationOf, assertMountTime, baselineIn, mountOf } from '../mounted.ts';
import { surveyNamed } from '../named-survey.ts';
import { readOf, refOfNamed } from '../named-workload.ts';
import {
  type ConsumerProof,
  type Going,
  goneProof,
  type Known,
  type MovedWorkload,
  type NotYet,
  type Rollout,
  type RolloutSession,
  type Survey,
} from '../rollout.ts';
import { type RollingSpec, rollingSpec } from './spec.ts';

const POD = { apiVersion: 'v1', kind: 'Pod' };
const OTHERS_TIMEOUT = '10m';

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
  readonly provesAgain = true;
  readonly #clusters: Clusters;
  readonly #spec: RollingSpec;
  readonly #ref: ObjectRef;
  readonly #annotation: string;
  /** Of pods that mount the store itself. */
  readonly #mount: MountSpec | undefined;
  readonly readsStore: boolean;
  readonly finish?: NonNullable<RolloutSession['finish']>;

  constructor(consumer: string, clusters: Clusters, spec: RollingSpec) {
    this.consumer = consumer;
    this.#clusters = clusters;
    this.#spec = spec;
    this.#ref = refOfNamed(spec);
    this.moves = { ...this.#ref, context: spec.context };
    this.#annotation = annotationOf(spec);
    this.#mount = mountOf(spec);
    this.readsStore = this.#mount !== undefined;
    // A pod that came since may have mounted what a cache still had.
    if (this.#mount) this.finish = (call, credential, known) => this.#settled(call, credential, known);
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
    if (this.#mount) await assertMounted(call, cluster, workload, this.#mount);
  }

  async observe(call: Call, current: Credential | undefined): Promise<unknown> {
    if (!this.#mount) return undefined;
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await cluster.read(call, this.#ref);
    return workload && mountBaseline(call, cluster, workload, this.#mount, current?.versionId);
  }

  async survey(call: Call): Promise<Survey> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { consumer } = this;
    const { found, warnings } = await surveyNamed(call, cluster, this.#ref, {
      ...this.#spec,
      consumer,
      moves: 'rolling',
    });
    return { found, warnings: [...warnings, ...(await budgetWarnings(call, cluster, [this.#ref]))] };
  }

  async move(
    call: Call,
    credential: Credential,
    going: Going,
    windowMs = 0,
    known?: Known,
  ): Promise<ConsumerProof | NotYet> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { versionId } = credential;
    if (going === 'back' && !(await cluster.read(call, this.#ref)))
      return goneProof(this.consumer, this.#name(cluster));
    const secret = await this.#delivered(call, cluster, versionId);
    const found = await this.#read(call, cluster);
    const held =
      going === 'forward' && known?.mayWait && annotated(found, this.#annotation) !== versionId
        ? await heldByBudget(call, cluster, found)
        : undefined;
    if (held) return { notYet: `${this.#name(cluster)}: ${held}` };
    const { workload, wanted, waiting } =
      going === 'forward'
        ? await toVersion(
            call,
            cluster,
            this.#ref,
            found,
            this.#annotation,
            versionId,
            secret,
            this.#mount ? 0 : windowMs,
          )
        : await backToVersion(call, cluster, this.#ref, found, this.#annotation, versionId, secret.logical);
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
      const stuck =
        going === 'back' && (await removeStuck(call, cluster, workload, this.#annotation, wanted));
      const detail = stuck || progress.detail;
      await this.#assertProgress(call, cluster, workload, wanted, detail);
      return { notYet: `${this.#name(cluster)}: ${detail}` };
    }
    const pods = await podsOn(call, cluster, workload, this.#annotation, wanted);
    const behind = pods.filter(({ onVersion, ready }) => !onVersion || !ready);
    if (behind.length > 0)
      return {
        notYet: `pod ${behind[0]?.name} is not on the ${going === 'forward' ? 'new' : 'previous'} version yet`,
      };
    if (this.#mount) return this.#mounting(call, cluster, workload, credential, going, known);
    const back = { ref: this.#ref, workload, secret, annotation: this.#annotation, wanted };
    const changedSince = known?.changedSince;
    const seen =
      going === 'forward' ? { pods } : await notBetween(call, cluster, { ...back, changedSince }, pods);
    if ('notYet' in seen) return { notYet: `${this.#name(cluster)}: ${seen.notYet}` };
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail:
        wanted === credential.versionId
          ? `${this.#name(cluster)}: all ${pods.length} pods started with this version in their template`
          : `${this.#name(cluster)}: all ${pods.length} pods have the template of before`,
      pods: seen.pods,
    };
  }

  /** The Secret that pods which start now read; of pods that mount the store itself there is none. */
  async #delivered(call: Call, cluster: Cluster, versionId: string): Promise<DeliveredSecret> {
    const { namespace, secretName: name } = this.#spec;
    if (name !== undefined) return assertDelivered(call, cluster, { namespace, name }, versionId);
    const none = `csi_${this.#mount?.providerClass}`;
    return { logical: none, name: none };
  }

  /** All pods are new; what they have mounted, the driver says. */
  async #mounting(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    { versionId }: Credential,
    going: Going,
    known: Known | undefined,
  ): Promise<ConsumerProof | NotYet> {
    // Nobody tells these pods to read again: the version counts from when their programs started.
    const atStart = { proven: known?.proven ?? [] };
    const wanted = { baseline: baselineIn(known), versionId, going, atStart };
    const seen = await podsMounting(call, cluster, workload, this.#mount as MountSpec, wanted);
    if ('notYet' in seen) {
      const words = `${this.#name(cluster)}: ${seen.notYet}`;
      assertMountTime(call, cluster, known, this.#spec.timeout ?? OTHERS_TIMEOUT, words);
      return { notYet: words };
    }
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail: `${this.#name(cluster)}: all ${seen.pods.length} pods started with this version mounted, as the CSI driver reports`,
      pods: seen.pods,
    };
  }

  async #settled(call: Call, credential: Credential, known: Known | undefined): Promise<NotYet | undefined> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await this.#read(call, cluster);
    const seen = await this.#mounting(call, cluster, workload, credential, 'forward', known);
    return 'notYet' in seen ? seen : undefined;
  }

  /** A Deployment's own controller has a deadline for progress; those of the other kinds wait for ever. */
  async #assertProgress(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    wanted: string | undefined,
    detail: string,
  ): Promise<void> {
    const timeout = this.#spec.timeout ?? (this.#spec.deployment ? undefined : OTHERS_TIMEOUT);
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

  #read(call: Call, cluster: Cluster): Promise<ClusterObject> {
    return readOf(call, cluster, this.#ref, this.consumer);
  }

  #name(cluster: Cluster): string {
    return `${nameOf(this.#ref)} in cluster ${cluster.name}`;
  }
}
