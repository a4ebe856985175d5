import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, Clusters, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { readersOfSecret, type SecretReaders } from '../../kubernetes/consumers/blast-radius.ts';
import type { FollowedSecrets } from '../../kubernetes/followed-secrets.ts';
import { holdersIn, type SecretHolder } from '../../kubernetes/secret-holders.ts';
import { versionedName } from '../../kubernetes/secret-names.ts';
import type { Collected, Delivery, DeliverySession, Difference, OtherPolicy } from '../delivery.ts';
import { collectVersions } from './collect.ts';
import { compare } from './compare.ts';
import { type Desired, desiredOf } from './desired.ts';
import { rehearse } from './rehearse.ts';
import { type SecretSpec, secretSpec } from './spec.ts';
import { writeSecret } from './write.ts';

export interface SecretDependencies {
  readonly clusters: Clusters;
  /** Who tells when somebody touches what was delivered. */
  readonly followed?: FollowedSecrets | undefined;
}

/**
 * Writes the credential into native Secrets, one per namespace: under one stable name by server-side apply (what others have
 * set besides stays theirs), or as a new immutable Secret for each version.
 */
export function secretDelivery({ clusters, followed }: SecretDependencies): Delivery<SecretSpec> {
  return {
    kind: 'secret',
    spec: secretSpec,
    open: (spec) => new SecretDeliverySession(clusters, spec, followed),
  };
}

class SecretDeliverySession implements DeliverySession {
  readonly target: string;
  readonly collect?: (call: Call, dead: readonly string[]) => Promise<Collected>;
  readonly #clusters: Clusters;
  readonly #spec: SecretSpec;
  readonly #followed: FollowedSecrets | undefined;

  constructor(clusters: Clusters, spec: SecretSpec, followed: FollowedSecrets | undefined) {
    this.#clusters = clusters;
    this.#followed = followed;
    this.#spec = spec;
    const where = spec.namespaces.map((namespace) => `${namespace}/${spec.name}`).join(', ');
    this.target = `secret ${where}${spec.context ? ` in ${spec.context}` : ''}`;
    if (spec.style === 'versioned')
      this.collect = async (call, dead) =>
        collectVersions(call, await clusters.open(spec.context), spec, dead);
  }

  async plan(call: Call, current?: Credential, others?: OtherPolicy): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    for (const namespace of this.#spec.namespaces)
      await rehearse(call, cluster, this.#spec, namespace, { current, others });
  }

  async deliver(call: Call, credential: Credential): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    this.#follow(call, cluster);
    const desired = desiredOf(this.#spec, credential);
    let gone: RotorError | undefined;
    for (const ref of this.#refs(credential)) {
      try {
        await writeSecret(call, cluster, ref, desired, this.#spec);
      } catch (error) {
        // A namespace that was deleted keeps the others from nothing.
        if (!(error instanceof RotorError) || error.code !== 'cluster.not-found') throw error;
        gone ??= error;
      }
    }
    if (gone) throw gone;
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    for await (const differences of this.#compared(call, credential))
      if (differences.length > 0) return false;
    return true;
  }

  async readers(call: Call): Promise<readonly SecretReaders[]> {
    return readersOfSecret(call, await this.#clusters.open(this.#spec.context), this.#spec);
  }

  async holders(call: Call, versionId: string): Promise<readonly SecretHolder[]> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const all = await Promise.all(
      this.#refs({ versionId }).map(({ namespace, name }) => holdersIn(call, cluster, namespace, name)),
    );
    return all.flat();
  }

  async differences(call: Call, credential: Credential): Promise<readonly Difference[]> {
    this.#follow(call, await this.#clusters.open(this.#spec.context));
    const all: Difference[] = [];
    for await (const differences of this.#compared(call, credential)) all.push(...differences);
    return all;
  }

  async *#compared(call: Call, credential: Credential): AsyncGenerator<readonly Difference[]> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const desired = desiredOf(this.#spec, credential);
    for (const ref of this.#refs(credential)) yield await differencesAt(call, cluster, ref, desired);
  }

  #follow(call: Call, cluster: Cluster): void {
    for (const namespace of this.#spec.namespaces) void this.#followed?.follow(call, cluster, namespace);
  }

  #refs({ versionId }: Pick<Credential, 'versionId'>): readonly ObjectRef[] {
    const { namespaces, style } = this.#spec;
    const name = style === 'versioned' ? versionedName(this.#spec.name, versionId) : this.#spec.name;
    return namespaces.map((namespace) => ({ apiVersion: 'v1', kind: 'Secret', namespace, name }));
  }
}

async function differencesAt(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  desired: Desired,
): Promise<readonly Difference[]> {
  const target = `secret ${ref.namespace}/${ref.name} in cluster ${cluster.name}`;
  return compare(await cluster.read(call, ref), desired).map((told) => ({ target, ...told }));
}
