import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import type { Cluster, ClusterObject, Clusters, ObjectRef } from '../../kubernetes/cluster.ts';
import { VERSION } from '../../kubernetes/delivered.ts';
import type { Delivery, DeliverySession } from '../delivery.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { type SecretSpec, secretSpec } from './spec.ts';

const MANAGED_BY = 'app.kubernetes.io/managed-by';
/** Highest fencing token that has written it. */
const FENCE = 'rotor.dev/fence';

/**
 * Writes the credential into a native Secret under one stable name, by server-side apply: what others have set besides
 * stays theirs.
 */
export function secretDelivery({ clusters }: { readonly clusters: Clusters }): Delivery<SecretSpec> {
  return { kind: 'secret', spec: secretSpec, open: (spec) => new SecretDeliverySession(clusters, spec) };
}

class SecretDeliverySession implements DeliverySession {
  readonly target: string;
  readonly #clusters: Clusters;
  readonly #spec: SecretSpec;

  constructor(clusters: Clusters, spec: SecretSpec) {
    this.#clusters = clusters;
    this.#spec = spec;
    const where = spec.namespaces.map((namespace) => `${namespace}/${spec.name}`).join(', ');
    this.target = `secret ${where}${spec.context ? ` in ${spec.context}` : ''}`;
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    for (const ref of this.#refs()) {
      const existing = await cluster.read(call, ref);
      if (existing) this.#assertOurs(cluster, ref, existing);
      await cluster.apply(call, this.#rehearsal(ref), existing !== undefined, 'dry-run');
    }
  }

  async deliver(call: Call, credential: Credential): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const data = this.#data(credential);
    let gone: RotorError | undefined;
    for (const ref of this.#refs()) {
      const existing = await cluster.read(call, ref);
      if (existing) this.#assertOurs(cluster, ref, existing);
      assertFence(call, ref, existing);
      const ours = existing !== undefined;
      try {
        await cluster.apply(call, this.#object(call, ref, credential, data, existing), ours);
      } catch (error) {
        // A namespace that was deleted keeps the others from nothing.
        if (!(error instanceof RotorError) || error.code !== 'cluster.not-found') throw error;
        gone ??= error;
      }
    }
    if (gone) throw gone;
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const data = this.#data(credential);
    for (const ref of this.#refs()) {
      const found = await cluster.read(call, ref);
      if (!found || !this.#carries(found, credential, data)) return false;
    }
    return true;
  }

  #refs(): readonly ObjectRef[] {
    const { name, namespaces } = this.#spec;
    return namespaces.map((namespace) => ({ apiVersion: 'v1', kind: 'Secret', namespace, name }));
  }

  #data(credential: Credential): Readonly<Record<string, string>> {
    const values = valuesOf(credential);
    const texts = this.#spec.data
      ? Object.entries(this.#spec.data).map(
          ([key, template]) => [key, fillTemplate(template, values)] as const,
        )
      : [...values];
    return Object.fromEntries(texts.map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
  }

  /** What the API server is asked to check beforehand: the same object without a secret in it. */
  #rehearsal({ apiVersion, kind, namespace, name }: ObjectRef): ClusterObject {
    const { type, labels, annotations, data } = this.#spec;
    const nothing = Buffer.from('{}').toString('base64');
    const usual = { username: '', password: '' };
    return {
      apiVersion,
      kind,
      metadata: { namespace, name, labels: { ...labels, [MANAGED_BY]: 'rotor' }, annotations },
      type,
      data: Object.fromEntries(Object.keys(data ?? usual).map((key) => [key, nothing])),
    };
  }

  #object(
    call: Call,
    { apiVersion, kind, namespace, name }: ObjectRef,
    credential: Credential,
    data: Readonly<Record<string, string>>,
    existing: ClusterObject | undefined,
  ): ClusterObject {
    const { type, labels, annotations } = this.#spec;
    const resourceVersion = existing?.metadata?.resourceVersion;
    return {
      apiVersion,
      kind,
      metadata: {
        namespace,
        name,
        // The precondition: between our look and our write nobody else has written, a later worker included.
        ...(resourceVersion ? { resourceVersion } : {}),
        labels: { ...labels, [MANAGED_BY]: 'rotor' },
        annotations: { ...annotations, [VERSION]: credential.versionId, [FENCE]: String(call.fence) },
      },
      type,
      data,
    };
  }

  #carries(found: ClusterObject, credential: Credential, data: Readonly<Record<string, string>>): boolean {
    const { labels, annotations, type } = this.#spec;
    const has = (
      all: Readonly<Record<string, string>> | undefined,
      wanted: Readonly<Record<string, string>>,
    ) => Object.entries(wanted).every(([name, value]) => all?.[name] === value);
    return (
      found.type === type &&
      has(found.metadata?.labels, { ...labels, [MANAGED_BY]: 'rotor' }) &&
      has(found.metadata?.annotations, { ...annotations, [VERSION]: credential.versionId }) &&
      Object.entries(data).every(([key, text]) => sameSecret(found.data?.[key], text))
    );
  }

  /** A Secret that somebody else made, or that can't be changed, is never taken over by surprise. */
  #assertOurs(cluster: Cluster, { namespace, name }: ObjectRef, existing: ClusterObject): void {
    const what = `secret ${namespace}/${name} in cluster ${cluster.name}`;
    const ours = existing.metadata?.labels?.[MANAGED_BY] === 'rotor';
    if (!ours && !this.#spec.adopt)
      throw new RotorError('cluster.not-owned', { what: `${what} was not made by Rotor` });
    if (existing.immutable === true) {
      throw new RotorError('cluster.invalid', {
        what: `${what} is immutable`,
        hint: 'Deliver under another name, or delete it so that Rotor makes it anew.',
      });
    }
    if (existing.type !== this.#spec.type) {
      throw new RotorError('cluster.invalid', {
        what: `${what} has type ${existing.type} instead of ${this.#spec.type}, and a type never changes`,
        hint: 'Correct `type` in the policy, or delete the Secret so that Rotor makes it anew.',
      });
    }
  }
}

function assertFence(call: Call, { namespace, name }: ObjectRef, existing: ClusterObject | undefined): void {
  const seen = existing?.metadata?.annotations?.[FENCE] ?? '';
  if (!/^\d{1,19}$/.test(seen) || BigInt(seen) <= call.fence) return;
  throw new RotorError('store.fenced', {
    what: `secret ${namespace}/${name}: a later worker has written it`,
  });
}

function sameSecret(found: unknown, wanted: string): boolean {
  if (typeof found !== 'string') return false;
  const [one, other] = [SecretValue.of(found), SecretValue.of(wanted)];
  const same = one.equals(other);
  one.destroy();
  other.destroy();
  return same;
}
