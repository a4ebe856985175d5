import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, Clusters } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { lacks } from '../../kubernetes/copied.ts';
import {
  askedSince,
  forceSync,
  neverCopied,
  notReady,
  troubleOf,
} from '../../kubernetes/external-secrets.ts';
import type { NotYet } from '../../rollouts/rollout.ts';
import type { Delivery, DeliverySession, Difference } from '../delivery.ts';
import { type Asked, notThere, read, stillMissing } from '../operator.ts';
import { lacksTexts } from './expected.ts';
import { type ExternalSecretSpec, externalSecretSpec } from './spec.ts';

/**
 * External Secrets copies what the store has into a Secret. Rotor makes it look at once, and reads back that the Secret
 * carries the version; it writes no Secret itself.
 */
export function externalSecretDelivery({
  clusters,
}: {
  readonly clusters: Clusters;
}): Delivery<ExternalSecretSpec> {
  return {
    kind: 'externalSecret',
    spec: externalSecretSpec,
    open: (spec) => new ExternalSecretSession(clusters, spec),
  };
}

class ExternalSecretSession implements DeliverySession {
  readonly target: string;
  readonly readsStore = true;
  readonly #clusters: Clusters;
  readonly #spec: ExternalSecretSpec;
  readonly #asked: Asked;

  constructor(clusters: Clusters, spec: ExternalSecretSpec) {
    const { apiVersion, namespace, name, context } = spec;
    this.#clusters = clusters;
    this.#spec = spec;
    this.target = `externalsecret ${namespace}/${name}${context ? ` in ${context}` : ''}`;
    const ref = { apiVersion, kind: 'ExternalSecret', namespace, name };
    this.#asked = { ref, target: this.target, operator: 'External Secrets', timeout: spec.timeout };
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await read(call, cluster, this.#asked);
    const obstacle = neverCopied(found) ?? notReady(found);
    if (obstacle !== undefined)
      throw new RotorError('cluster.invalid', {
        what: `${this.target}: ${obstacle}`,
        hint: 'Correct the ExternalSecret; nothing has been changed.',
      });
    await assertAllowed(call, cluster, 'patch', this.#asked.ref);
    await this.#secret(call, cluster, found);
  }

  async deliver(call: Call, { versionId }: Credential): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await read(call, cluster, this.#asked);
    await forceSync(call, cluster, this.#asked.ref, found, versionId);
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    return (await this.differences(call, credential)).length === 0;
  }

  async differences(call: Call, credential: Credential): Promise<readonly Difference[]> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await cluster.read(call, this.#asked.ref);
    if (!found) return [{ target: this.target, what: 'it is gone' }];
    const what = await this.#lacking(call, cluster, found, credential);
    return what === undefined ? [] : [{ target: this.target, what }];
  }

  async missing(call: Call, credential: Credential): Promise<NotYet | undefined> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await cluster.read(call, this.#asked.ref);
    if (!found) throw notThere(cluster, this.#asked);
    const what = await this.#lacking(call, cluster, found, credential);
    if (what === undefined) return undefined;
    const since = askedSince(found, credential.versionId, call.clock.now());
    return stillMissing(call, this.#asked, since, what, troubleOf(found, credential));
  }

  /** What the Secret lacks of the version, in words. */
  async #lacking(
    call: Call,
    cluster: Cluster,
    found: ClusterObject,
    credential: Credential,
  ): Promise<string | undefined> {
    const { name, secret } = await this.#secret(call, cluster, found);
    const { data } = this.#spec;
    const what = data ? lacksTexts(secret, data, credential) : lacks(secret, credential, undefined);
    return what === undefined ? undefined : `secret ${this.#spec.namespace}/${name}: ${what}`;
  }

  async #secret(call: Call, cluster: Cluster, { spec = {} }: ClusterObject) {
    const { namespace, name: own } = this.#spec;
    const name: string = spec.target?.name ?? own;
    return { name, secret: await cluster.read(call, { apiVersion: 'v1', kind: 'Secret', namespace, name }) };
  }
}
