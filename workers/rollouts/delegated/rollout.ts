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
import { dataWrittenMs, lacks } from '../../kubernetes/copied.ts';
import { isDeliveredInPlace } from '../../kubernetes/delivered.ts';
import { saidBy } from '../../kubernetes/external-secrets.ts';
import { podsMadeSince } from '../../kubernetes/pod-evidence.ts';
import { obstacleOf, progressOf } from '../../kubernetes/workloads.ts';
import { readOf, refOfNamed } from '../named-workload.ts';
import {
  type ConsumerProof,
  type Going,
  goneProof,
  type MovedWorkload,
  type NotYet,
  type Rollout,
  type RolloutSession,
  unmovedProof,
} from '../rollout.ts';
import { type Copier, copierOf } from './copiers.ts';
import { reloaderObstacle } from './reloader.ts';
import { type DelegatedSpec, delegatedSpec } from './spec.ts';

/**
 * Somebody else copies the Secret or restarts its readers. Rotor sees before anything is changed that they will, sets them
 * off, and follows; it restarts nothing itself, so that nothing is restarted twice. The way back is the same: what is
 * delivered changes, and they act on it.
 */
export function delegatedRollout({ clusters }: { readonly clusters: Clusters }): Rollout<DelegatedSpec> {
  return {
    kind: 'delegated',
    spec: delegatedSpec,
    open: (consumer, spec) => new DelegatedSession(consumer, clusters, spec),
  };
}

class DelegatedSession implements RolloutSession {
  readonly consumer: string;
  readonly moves: MovedWorkload;
  readonly provesAgain = true;
  readonly readsStore: boolean;
  readonly #clusters: Clusters;
  readonly #spec: DelegatedSpec;
  readonly #ref: ObjectRef;
  readonly #secret: ObjectRef;
  readonly #copier: Copier | undefined;

  constructor(consumer: string, clusters: Clusters, spec: DelegatedSpec) {
    this.consumer = consumer;
    this.#clusters = clusters;
    this.#spec = spec;
    this.#ref = refOfNamed(spec);
    this.moves = { ...this.#ref, context: spec.context };
    this.#secret = { apiVersion: 'v1', kind: 'Secret', namespace: spec.namespace, name: spec.secretName };
    this.#copier = copierOf(spec);
    this.readsStore = this.#copier !== undefined;
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const workload = await this.#read(call, cluster, this.#ref);
    await assertAllowed(call, cluster, 'list', { ...this.#ref, apiVersion: 'v1', kind: 'Pod', name: '' });
    this.#refuse(
      cluster,
      this.#ref,
      obstacleOf(workload) ?? (await this.#restartObstacle(call, cluster, workload)),
    );
    if (!this.#copier) return;
    const { source } = this.#copier;
    this.#refuse(cluster, source, this.#copier.obstacle(await this.#read(call, cluster, source)));
    if (this.#copier.trigger) await assertAllowed(call, cluster, 'patch', source);
  }

  async move(call: Call, credential: Credential, going: Going): Promise<ConsumerProof | NotYet> {
    const cluster = await this.#clusters.open(this.#spec.context);
    if (going === 'back' && !(await cluster.read(call, this.#ref)))
      return goneProof(this.consumer, `${nameOf(this.#ref)} in cluster ${cluster.name}`);
    const { namespace, secretName: delivered } = this.#spec;
    const inPlace =
      this.#copier !== undefined ||
      (await isDeliveredInPlace(call, cluster, { namespace, name: delivered }, credential.versionId, going));
    if (!inPlace) return unmovedProof(this.consumer, `${nameOf(this.#ref)} in cluster ${cluster.name}`);
    const copying = await this.#copy(call, cluster, credential);
    if (copying) return copying;
    const secret = await this.#read(call, cluster, this.#secret);
    const writtenMs = dataWrittenMs(secret);
    const workload = await this.#read(call, cluster, this.#ref);
    const name = `${nameOf(this.#ref)} in cluster ${cluster.name}`;
    const progress = progressOf(workload);
    if (progress.state === 'stuck')
      throw new RotorError('rollout.unhealthy', {
        what: `${name}: ${progress.detail}`,
        hint: `kubectl --context ${cluster.name} -n ${this.#ref.namespace} describe ${this.#ref.kind.toLowerCase()} ${this.#ref.name}`,
      });
    // Without the time of the write no pod's own time proves anything.
    if (writtenMs === undefined)
      return {
        notYet: `secret ${this.#ref.namespace}/${this.#spec.secretName} in cluster ${cluster.name} has no note of when its data was written (metadata.managedFields), so that nobody knows which pods were made after it`,
      };
    const pods = await podsMadeSince(call, cluster, workload, writtenMs);
    const behind = pods.find(({ onVersion, ready }) => !onVersion || !ready);
    if (progress.state === 'done' && !behind)
      return {
        consumer: this.consumer,
        healthy: true,
        version: 'restarted',
        detail: `${name}: all ${pods.length} pods were made after the version had been written, by ${this.#spec.to}`,
        pods,
      };
    const seen =
      progress.state === 'moving'
        ? progress.detail
        : `pod ${behind?.name} ${behind?.problem ?? 'is not ready'}`;
    this.#assertTime(call, name, seen, writtenMs);
    return { notYet: `${name}: ${seen}; ${this.#spec.to} restarts it` };
  }

  /** @returns words until the Secret carries the version */
  async #copy(call: Call, cluster: Cluster, credential: Credential): Promise<NotYet | undefined> {
    const { namespace, secretName: name, keys } = this.#spec;
    if (!this.#copier) return undefined;
    const { source } = this.#copier;
    const missing = lacks(await cluster.read(call, this.#secret), credential, keys);
    if (missing === undefined) return undefined;
    const found = await this.#read(call, cluster, source);
    const sinceMs = await this.#copier.trigger?.(call, cluster, found, credential.versionId);
    const what = `${nameOf(source)} in cluster ${cluster.name} (${saidBy(found) || 'says nothing'})`;
    const seen = `secret ${namespace}/${name}: ${missing}`;
    // Where nothing sets the copier off, only the rotation's own deadline ends the waiting.
    this.#assertTime(call, what, seen, sinceMs);
    return { notYet: `${what}: ${seen}` };
  }

  /** Since when: a time that the cluster or another worker wrote, against this worker's clock. */
  #assertTime(call: Call, what: string, seen: string, sinceMs: number | undefined): void {
    const waitedMs = call.clock.now().getTime() - (sinceMs ?? Number.POSITIVE_INFINITY);
    if (waitedMs <= (parseDuration(this.#spec.timeout) ?? 0)) return;
    const { to } = this.#spec;
    throw new RotorError('rollout.unhealthy', {
      what: `${what}: ${seen}, ${formatDuration(waitedMs)} after the version came; ${to} has not done its part`,
      hint: `See that ${to} runs, watches namespace ${this.#ref.namespace}, and what its log says of ${this.#ref.name} and of secret ${this.#spec.secretName}.`,
    });
  }

  /** Vault's operator restarts by its own list, which its copier looks at. */
  async #restartObstacle(call: Call, cluster: Cluster, workload: ClusterObject): Promise<string | undefined> {
    const { to, secretName, autoReloadAll, timeout } = this.#spec;
    if (to === 'vault-secrets-operator') return undefined;
    const secret = await cluster.read(call, this.#secret);
    const timeoutMs = parseDuration(timeout) ?? 0;
    return reloaderObstacle(workload, secret, secretName, { autoReloadAll, timeoutMs });
  }

  #refuse(cluster: Cluster, ref: ObjectRef, obstacle: string | undefined): void {
    if (obstacle === undefined) return;
    throw new RotorError('rollout.unhealthy', {
      what: `consumer ${this.consumer}: ${nameOf(ref)} in cluster ${cluster.name}: ${obstacle}`,
      hint: 'Correct it, or move this consumer by `rolling`; nothing has been changed.',
    });
  }

  #read(call: Call, cluster: Cluster, ref: ObjectRef): Promise<ClusterObject> {
    return readOf(call, cluster, ref, this.consumer);
  }
}
