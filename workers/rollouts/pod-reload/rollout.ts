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
import { dataWrittenMs } from '../../kubernetes/copied.ts';
import { isDeliveredInPlace } from '../../kubernetes/delivered.ts';
import { type MountSpec, mountsOf } from '../../kubernetes/mounts/decide.ts';
import { assertMounted, mountBaseline, podsMounting } from '../../kubernetes/mounts/look.ts';
import { isReady, livePods, type PodEvidence } from '../../kubernetes/pod-evidence.ts';
import { readingsOf } from '../../kubernetes/reads-secret.ts';
import { obstacleOf } from '../../kubernetes/workloads.ts';
import { annotationOf, assertMountTime, baselineIn, mountOf } from '../mounted.ts';
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
  unmovedProof,
} from '../rollout.ts';
import { reloadPod, versionProblemOf } from './pod.ts';
import { type PodReloadSpec, podReloadSpec } from './spec.ts';

/**
 * Pods that have the Secret mounted take it without a restart: the kubelet brings it to their files, each is told to read
 * them again, and each says that it has. No pod is left out, those that appear meanwhile included.
 */
export function podReloadRollout({ clusters }: { readonly clusters: Clusters }): Rollout<PodReloadSpec> {
  return {
    kind: 'podReload',
    spec: podReloadSpec,
    open: (consumer, spec) => new PodReloadSession(consumer, clusters, spec),
  };
}

class PodReloadSession implements RolloutSession {
  readonly consumer: string;
  readonly moves: MovedWorkload;
  readonly provesAgain = true;
  readonly readsStore: boolean;
  readonly finish?: NonNullable<RolloutSession['finish']>;
  readonly #clusters: Clusters;
  readonly #spec: PodReloadSpec;
  readonly #ref: ObjectRef;
  /** At a pod: the version that it is to have. Writing it makes the kubelet look at the pod's files at once. */
  readonly #expected: string;
  /** At a pod: the version whose files it was told to read, and said yes. */
  readonly #acknowledged: string;
  /** Of pods that mount the store itself. */
  readonly #mount: MountSpec | undefined;

  constructor(consumer: string, clusters: Clusters, spec: PodReloadSpec) {
    this.consumer = consumer;
    this.#clusters = clusters;
    this.#spec = spec;
    this.#ref = refOfNamed(spec);
    this.moves = { ...this.#ref, context: spec.context };
    this.#mount = mountOf(spec);
    this.readsStore = this.#mount !== undefined;
    // A pod that came since may have mounted what a cache still had.
    if (this.#mount) this.finish = (call, credential, known) => this.#settled(call, credential, known);
    const annotation = annotationOf(spec);
    this.#expected = `expected.${annotation}`;
    this.#acknowledged = `acknowledged.${annotation}`;
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await this.#read(call, cluster, this.#ref);
    const pods = { ...this.#ref, apiVersion: 'v1', kind: 'Pod', name: '' };
    await assertAllowed(call, cluster, 'list', pods);
    await assertAllowed(call, cluster, 'patch', pods);
    const obstacle = obstacleOf(workload) ?? unreloadable(workload, this.#spec);
    if (obstacle)
      throw new RotorError('rollout.unhealthy', {
        what: `consumer ${this.consumer}: ${nameOf(this.#ref)} in cluster ${cluster.name}: ${obstacle}`,
        hint: 'Nothing has been changed.',
      });
    if (this.#mount) await assertMounted(call, cluster, workload, this.#mount);
  }

  async observe(call: Call, current: Credential | undefined): Promise<unknown> {
    if (!this.#mount) return undefined;
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await cluster.read(call, this.#ref);
    return workload && mountBaseline(call, cluster, workload, this.#mount, current?.versionId);
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
    if (going === 'back' && !(await cluster.read(call, this.#ref)))
      return goneProof(this.consumer, `${nameOf(this.#ref)} in cluster ${cluster.name}`);
    if (
      name !== undefined &&
      !(await isDeliveredInPlace(call, cluster, { namespace, name }, credential.versionId, going))
    )
      return unmovedProof(this.consumer, `${nameOf(this.#ref)} in cluster ${cluster.name}`);
    const workload = await this.#read(call, cluster, this.#ref);
    // Files first: a pod that is told to read them too early would read the old ones, and say yes.
    const mounting = await this.#mounting(call, cluster, workload, credential, going, known);
    if ('notYet' in mounting) return mounting;
    const pods = await livePods(call, cluster, workload);
    // One that took this version once may have started anew since with the other, whose files were there for a while.
    const told = going === 'forward' ? credential.versionId : known && backOf(credential.versionId, known);
    const seen: PodEvidence[] = [];
    for (const pod of pods) {
      // What goes away needs no reload, but uses the old credential until it is gone.
      const problem =
        pod.metadata?.deletionTimestamp !== undefined
          ? 'it is going away'
          : isReady(pod)
            ? await this.#reload(call, cluster, pod, credential.versionId, told)
            : 'it is not ready';
      if (problem !== undefined) {
        const words = `${nameOf(this.#ref)} in cluster ${cluster.name}: pod ${pod.metadata?.name}: ${problem}`;
        await this.#assertTime(call, cluster, words, known);
        return { notYet: words };
      }
      seen.push(mounting.pods.find((each) => each.name === pod.metadata?.name) ?? this.#evidence(pod));
    }
    // One that has appeared since may have started with the old files.
    const now = await livePods(call, cluster, workload);
    const late = now.find((pod) => !seen.some((each) => each.name === pod.metadata?.name));
    if (late) return { notYet: `pod ${late.metadata?.name} has just appeared` };
    return {
      consumer: this.consumer,
      healthy: true,
      version: this.#by === 'reported' ? 'reported' : 'acknowledged',
      detail: `${nameOf(this.#ref)} in cluster ${cluster.name}: ${
        this.#by === 'reported'
          ? `each of its ${seen.length} pods names the version that it runs with`
          : `each of its ${seen.length} pods has the version in its files and took the reload`
      }`,
      pods: seen,
    };
  }

  get #by(): 'reported' | 'acknowledged' {
    return this.#spec.version?.of === 'process' ? 'reported' : 'acknowledged';
  }

  /** Of pods that mount the store itself: that the driver has brought the version into the files of each. */
  async #mounting(
    call: Call,
    cluster: Cluster,
    workload: ClusterObject,
    { versionId }: Credential,
    going: Going,
    known: Known | undefined,
  ): Promise<{ readonly pods: readonly PodEvidence[] } | NotYet> {
    if (!this.#mount) return { pods: [] };
    const wanted = { baseline: baselineIn(known), versionId, going };
    const seen = await podsMounting(call, cluster, workload, this.#mount, wanted);
    if ('pods' in seen) return seen;
    const words = `${nameOf(this.#ref)} in cluster ${cluster.name}: ${seen.notYet}`;
    assertMountTime(call, cluster, known, this.#spec.timeout, words);
    return { notYet: words };
  }

  async #settled(call: Call, credential: Credential, known: Known | undefined): Promise<NotYet | undefined> {
    const seen = await this.move(call, credential, 'forward', 0, known);
    return 'notYet' in seen ? seen : undefined;
  }

  /**
   * @param told how it is noted at the pod that it took the reload; undefined: it is told again
   * @returns what is still missing; undefined when the pod is on the version
   */
  async #reload(
    call: Call,
    cluster: Cluster,
    pod: ClusterObject,
    versionId: string,
    told: string | undefined,
  ): Promise<string | undefined> {
    const annotations = pod.metadata?.annotations ?? {};
    const problem = await versionProblemOf(call, pod, this.#spec, versionId);
    if (this.#by === 'reported') {
      if (problem === undefined) return undefined;
      await this.#expect(call, cluster, pod, versionId);
      // It reads what has reached its files by now; whether that is the version, it says itself.
      await reloadPod(call, this.consumer, pod, this.#spec);
      return versionProblemOf(call, pod, this.#spec, versionId);
    }
    if (problem !== undefined) {
      await this.#expect(call, cluster, pod, versionId);
      return problem;
    }
    if (told !== undefined && annotations[this.#acknowledged] === told) return undefined;
    await reloadPod(call, this.consumer, pod, this.#spec);
    await this.#annotate(call, cluster, pod, this.#acknowledged, told ?? versionId);
    return undefined;
  }

  /** A kubelet looks at a pod's volumes again when the pod changes, else about once a minute. */
  async #expect(call: Call, cluster: Cluster, pod: ClusterObject, versionId: string): Promise<void> {
    if (pod.metadata?.annotations?.[this.#expected] === versionId) return;
    await this.#annotate(call, cluster, pod, this.#expected, versionId);
  }

  async #annotate(
    call: Call,
    cluster: Cluster,
    pod: ClusterObject,
    name: string,
    value: string,
  ): Promise<void> {
    const ref = {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: this.#ref.namespace,
      name: pod.metadata?.name ?? '',
    };
    await cluster.mergePatch(call, ref, { metadata: { annotations: { [name]: value } } });
  }

  #evidence(pod: ClusterObject): PodEvidence {
    const startedAt = pod.status?.startTime;
    return {
      name: pod.metadata?.name ?? '',
      onVersion: true,
      ready: true,
      by: this.#by,
      startedAt: startedAt instanceof Date ? startedAt.toISOString() : startedAt,
    };
  }

  /** Since the Secret was written, by the cluster's clock against the worker's. */
  async #assertTime(call: Call, cluster: Cluster, words: string, known: Known | undefined): Promise<void> {
    const { namespace, secretName: name } = this.#spec;
    if (name === undefined) return assertMountTime(call, cluster, known, this.#spec.timeout, words);
    const secret = await this.#read(call, cluster, { apiVersion: 'v1', kind: 'Secret', namespace, name });
    const waitedMs = call.clock.now().getTime() - (dataWrittenMs(secret) ?? Number.POSITIVE_INFINITY);
    if (waitedMs <= (parseDuration(this.#spec.timeout) ?? 0)) return;
    throw new RotorError('rollout.unhealthy', {
      what: `${words}, ${formatDuration(waitedMs)} after the version was written`,
      hint: `Look at its log: kubectl --context ${cluster.name} -n ${namespace} logs --all-containers <pod>`,
    });
  }

  #read(call: Call, cluster: Cluster, ref: ObjectRef): Promise<ClusterObject> {
    return readOf(call, cluster, ref, this.consumer);
  }
}

/** How a pod is known to have taken a version on this way back, and on no other. */
function backOf(versionId: string, { since }: Known): string {
  return `${versionId} since ${since.toISOString()}`;
}

/** Why a reload would not bring the credential to the pods of a workload; undefined when it does. */
function unreloadable(
  workload: ClusterObject,
  { secretName, secretProviderClass }: PodReloadSpec,
): string | undefined {
  if (secretProviderClass !== undefined) {
    const fixed = mountsOf(workload, secretProviderClass).find((mount) => mount.fixed);
    return fixed && neverUpdated(fixed.container, `class ${secretProviderClass}`, 'by subPath');
  }
  const readings = readingsOf(workload, secretName ?? '');
  if (readings.length === 0) return `its pods don't mount secret ${secretName}`;
  const fixed = readings.find(({ by }) => by !== 'volume');
  const how = fixed?.by === 'env' ? 'as environment variables' : 'by subPath';
  return fixed && neverUpdated(fixed.container, `secret ${secretName}`, how);
}

function neverUpdated(container: string, what: string, how: string): string {
  const never = how === 'by subPath' ? ', which is never updated' : '';
  return `container ${container} has ${what} ${how}${never}: only a restart changes it, use \`rolling\``;
}
