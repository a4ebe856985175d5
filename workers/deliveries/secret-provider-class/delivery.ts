import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { formatDuration, parseDuration } from '../../../core/duration.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, Clusters } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import {
  type Baseline,
  lagging,
  type MountSpec,
  mountsIn,
  UNKNOWN_BASELINE,
  type WantedMount,
} from '../../kubernetes/mounts/decide.ts';
import {
  assertStatusesReadable,
  baselineSeen,
  type LookedAt,
  mountsSeen,
  podsOfClass,
  rotationHint,
} from '../../kubernetes/mounts/look.ts';
import type { Known, NotYet } from '../../rollouts/rollout.ts';
import type { Delivery, DeliverySession } from '../delivery.ts';
import { type Asked, notThere, read } from '../operator.ts';
import { type SecretProviderClassSpec, secretProviderClassSpec } from './spec.ts';

/**
 * The Secrets Store CSI driver mounts what the store has into pods, and brings a new version into their files when its
 * rotation comes by. Nobody can tell it to: Rotor waits until the driver says of every pod that it has.
 */
export function secretProviderClassDelivery({
  clusters,
}: {
  readonly clusters: Clusters;
}): Delivery<SecretProviderClassSpec> {
  return {
    kind: 'secretProviderClass',
    spec: secretProviderClassSpec,
    open: (spec) => new SecretProviderClassSession(clusters, spec),
  };
}

/** What is kept in the journal of how it was. */
interface Before {
  /** Version id of the store's current version then; null where there was none. */
  readonly version: string | null;
  readonly baseline: Baseline;
}

/** So many are named in a message. */
const NAMED = 5;

class SecretProviderClassSession implements DeliverySession {
  readonly target: string;
  readonly readsStore = true;
  /** Versions may be hashes, which only what was seen before a rotation gives a meaning. */
  readonly unseen = true;
  readonly #clusters: Clusters;
  readonly #spec: SecretProviderClassSpec;
  readonly #mount: MountSpec;
  readonly #asked: Asked;
  /** By the last {@link plan}. */
  #found: readonly string[] = [];

  constructor(clusters: Clusters, spec: SecretProviderClassSpec) {
    const { namespace, name, context, objects, timeout } = spec;
    this.#clusters = clusters;
    this.#spec = spec;
    this.target = `secretproviderclass ${namespace}/${name}${context ? ` in ${context}` : ''}`;
    this.#mount = { providerClass: name, objects };
    const ref = { apiVersion: 'secrets-store.csi.x-k8s.io/v1', kind: 'SecretProviderClass', namespace, name };
    this.#asked = { ref, target: this.target, operator: 'the Secrets Store CSI driver', timeout };
  }

  get warnings(): readonly string[] {
    return [
      `${this.target}: Rotor sees which version is in the files of each pod while it delivers, and neither whether a program has read it nor what pods mount later`,
      ...this.#found,
    ];
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    await read(call, cluster, this.#asked);
    await assertAllowed(call, cluster, 'list', {
      ...this.#asked.ref,
      apiVersion: 'v1',
      kind: 'Pod',
      name: '',
    });
    await assertStatusesReadable(call, cluster, this.#spec.namespace);
    const pods = await this.#pods(call, cluster);
    // What is about to start says soon what it has mounted.
    const refused = pods.find(({ pod, seen }) => 'problem' in seen && pod.status?.phase === 'Running');
    if (refused && 'problem' in refused.seen)
      throw new RotorError('cluster.invalid', {
        what: `${this.target}: pod ${refused.name}: ${refused.seen.problem}`,
        hint: 'See that the Secrets Store CSI driver runs and mounts the class; nothing has been changed.',
      });
    this.#found = [...this.#nobody(pods), ...pods.flatMap((each) => this.#never(each))];
  }

  async observe(call: Call, current: Credential | undefined): Promise<Before> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const pods = await this.#pods(call, cluster);
    return { version: current?.versionId ?? null, baseline: baselineSeen(pods, current?.versionId) };
  }

  /** The driver comes by itself, unless its class is gone. */
  async deliver(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    if (await cluster.read(call, this.#asked.ref)) return;
    const left = await this.#pods(call, cluster);
    if (left.length === 0) throw notThere(cluster, this.#asked);
    throw new RotorError('delivery.failed', {
      what: `${this.target} is gone from cluster ${cluster.name}, and the driver brings no version any more to pods that still mount it: ${named(left.map(({ name }) => name))}`,
      hint: 'Create the SecretProviderClass again, or let these pods end.',
    });
  }

  async holds(call: Call, { versionId }: Credential, known?: Known): Promise<boolean> {
    const cluster = await this.#clusters.open(this.#spec.context);
    if (!(await cluster.read(call, this.#asked.ref))) return false;
    return lagging(await this.#pods(call, cluster), wantedOf(versionId, known)).length === 0;
  }

  async missing(call: Call, { versionId }: Credential, known: Known): Promise<NotYet | undefined> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const without = lagging(await this.#pods(call, cluster), wantedOf(versionId, known));
    if (without.length === 0) return undefined;
    const seen = `${this.target}: ${named(without)}`;
    const waitedMs = call.clock.now().getTime() - known.since.getTime();
    if (waitedMs <= (parseDuration(this.#spec.timeout) ?? 0)) return { notYet: seen };
    throw new RotorError('delivery.failed', {
      what: `${seen}, ${formatDuration(waitedMs)} after the store had the version`,
      hint: rotationHint(cluster),
    });
  }

  async #pods(call: Call, cluster: Cluster): Promise<readonly LookedAt[]> {
    const { namespace, name } = this.#spec;
    const pods = await podsOfClass(call, cluster, namespace, name);
    return mountsSeen(call, cluster, pods, this.#mount);
  }

  #nobody(pods: readonly unknown[]): readonly string[] {
    return pods.length > 0 ? [] : [`${this.target}: no pod mounts it, so that there is nothing to wait for`];
  }

  /** The driver's word is about the volume: what a container has of it by `subPath` stays as it was. */
  #never({ pod, name }: { readonly pod: ClusterObject; readonly name: string }): readonly string[] {
    const fixed = mountsIn(pod.spec ?? {}, this.#spec.name).find((mount) => mount.fixed);
    if (!fixed) return [];
    return [
      `${this.target}: container ${fixed.container} of pod ${name} has it by subPath, which is never updated: only a restart changes it, list its workload as a consumer with \`rolling\``,
    ];
  }
}

/** The version of before is asked for on the way back alone. */
function wantedOf(versionId: string, known: Known | undefined): WantedMount {
  const before = known?.before as Before | undefined;
  if (!before) return { baseline: UNKNOWN_BASELINE, versionId, going: 'forward' };
  return { baseline: before.baseline, versionId, going: before.version === versionId ? 'back' : 'forward' };
}

function named(all: readonly string[]): string {
  const more = all.length - NAMED;
  return `${all.slice(0, NAMED).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
