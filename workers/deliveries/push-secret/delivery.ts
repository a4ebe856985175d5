import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, Clusters } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { VERSION } from '../../kubernetes/delivered.ts';
import { askedSince, FORCE_SYNC, troubleOf } from '../../kubernetes/external-secrets.ts';
import type { Known, NotYet } from '../../rollouts/rollout.ts';
import type { Delivery, DeliverySession } from '../delivery.ts';
import { type Asked, notThere, read, stillMissing } from '../operator.ts';
import { isPushed, neverPushed, pushing } from './pushed.ts';
import { type PushSecretSpec, pushSecretSpec } from './spec.ts';

/**
 * External Secrets pushes a Secret that Rotor has delivered (an entry `secret` of the same policy) to other stores. Rotor
 * makes it push at once, and waits until it says that it has.
 */
export function pushSecretDelivery({ clusters }: { readonly clusters: Clusters }): Delivery<PushSecretSpec> {
  return {
    kind: 'pushSecret',
    spec: pushSecretSpec,
    open: (spec) => new PushSecretSession(clusters, spec),
  };
}

class PushSecretSession implements DeliverySession {
  readonly target: string;
  readonly unseen = true;
  readonly warnings: readonly string[];
  readonly #clusters: Clusters;
  readonly #spec: PushSecretSpec;
  readonly #asked: Asked;

  constructor(clusters: Clusters, spec: PushSecretSpec) {
    const { namespace, name, context } = spec;
    this.#clusters = clusters;
    this.#spec = spec;
    this.target = `pushsecret ${namespace}/${name}${context ? ` in ${context}` : ''}`;
    this.warnings = [
      `${this.target}: Rotor sees that External Secrets has pushed, and not what the other store holds then`,
    ];
    const ref = { apiVersion: 'external-secrets.io/v1alpha1', kind: 'PushSecret', namespace, name };
    this.#asked = { ref, target: this.target, operator: 'External Secrets', timeout: spec.timeout };
  }

  async plan(call: Call): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const obstacle = neverPushed(await read(call, cluster, this.#asked));
    if (obstacle !== undefined)
      throw new RotorError('cluster.invalid', {
        what: `${this.target}: ${obstacle}`,
        hint: 'Correct the PushSecret; nothing has been changed.',
      });
    await assertAllowed(call, cluster, 'patch', this.#asked.ref);
  }

  async deliver(call: Call, { versionId }: Credential): Promise<void> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await read(call, cluster, this.#asked);
    // It would push what was there before.
    if ((await this.#lacking(call, cluster, found, versionId)) !== undefined) return;
    const value = pushing(found, versionId, call.clock.now().getTime());
    if (value === undefined) return;
    await cluster.mergePatch(call, this.#asked.ref, { metadata: { annotations: { [FORCE_SYNC]: value } } });
  }

  async holds(call: Call, { versionId }: Credential): Promise<boolean> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await cluster.read(call, this.#asked.ref);
    if (!found || !isPushed(found, versionId)) return false;
    return (await this.#lacking(call, cluster, found, versionId)) === undefined;
  }

  async missing(call: Call, credential: Credential, known: Known): Promise<NotYet | undefined> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const found = await cluster.read(call, this.#asked.ref);
    if (!found) throw notThere(cluster, this.#asked);
    const lacking = await this.#lacking(call, cluster, found, credential.versionId);
    if (lacking === undefined && isPushed(found, credential.versionId)) return undefined;
    const what = lacking ?? 'it has not pushed since it was told';
    // It isn't told while it would push what was there before.
    const since = lacking ? known.since : askedSince(found, credential.versionId, call.clock.now());
    return stillMissing(call, this.#asked, since, what, troubleOf(found, credential));
  }

  /** What the Secret that is pushed lacks, in words. */
  async #lacking(
    call: Call,
    cluster: Cluster,
    { spec = {} }: ClusterObject,
    versionId: string,
  ): Promise<string | undefined> {
    const { namespace } = this.#spec;
    const name: string = spec.selector?.secret?.name ?? '';
    const secret = await cluster.read(call, { apiVersion: 'v1', kind: 'Secret', namespace, name });
    const carried = secret?.metadata?.annotations?.[VERSION];
    if (carried === versionId) return undefined;
    return `secret ${namespace}/${name} carries ${carried ?? 'no version of Rotor’s'}: deliver to it in the same policy, before`;
  }
}
