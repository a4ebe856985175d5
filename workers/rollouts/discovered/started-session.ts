import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { type Cluster, FIELD_MANAGER } from '../../../core/kubernetes/cluster.ts';
import type { Consumer } from '../../kubernetes/consumers/consumer-index.ts';
import { assertDelivered } from '../../kubernetes/delivered.ts';
import type { PodEvidence } from '../../kubernetes/pod-evidence.ts';
import type { ConsumerProof, Going, NotYet, RolloutSession } from '../rollout.ts';
import type { Disposition } from './disposition.ts';

type Unmoved = Exclude<Disposition, { readonly do: 'roll' | 'argo' }>;

/**
 * A workload that Rotor doesn't roll: Jobs, what reads at its next run, what is excluded, and what can't be moved by
 * anybody. Pods that were made after the Secret carried the version are on it, all others keep the one before.
 */
export class StartedSession implements RolloutSession {
  readonly consumer: string;
  readonly #cluster: Cluster;
  readonly #found: Consumer;
  readonly #disposition: Unmoved;
  readonly #secretName: string;

  constructor(consumer: string, cluster: Cluster, found: Consumer, disposition: Unmoved, secretName: string) {
    this.consumer = consumer;
    this.#cluster = cluster;
    this.#found = found;
    this.#disposition = disposition;
    this.#secretName = secretName;
  }

  async plan(): Promise<void> {
    if (this.#disposition.do === 'refuse') throw this.#refused(this.#disposition, 'reads the Secret');
  }

  async move(call: Call, { versionId }: Credential, going: Going): Promise<ConsumerProof | NotYet> {
    const disposition = this.#disposition;
    if (disposition.do === 'acknowledged')
      return this.#proof(`not observed: excluded by the policy (${disposition.reason})`);
    if (disposition.do === 'nothing') return this.#proof(disposition.why);
    const since = await this.#deliveredAt(call, versionId);
    const pods = this.#found.pods.map(
      ({ name, createdAt }): PodEvidence => ({
        name,
        // Both times are the API server's, in whole seconds: of those of one second nobody knows which came first.
        onVersion: createdAt !== undefined && Date.parse(createdAt) > since,
        ready: true,
        by: 'started',
        startedAt: createdAt,
      }),
    );
    const old = pods.find(({ onVersion }) => !onVersion);
    // On the way back nobody is waited for: the version of before is still accepted, and sessions of the other are looked for.
    if (!old || going === 'back') {
      const running = pods.length === 0 ? 'nothing of it runs' : `its ${pods.length} pods started since`;
      return this.#proof(`${running}; what starts next reads this version`, pods);
    }
    if (disposition.do === 'refuse')
      throw this.#refused(disposition, `keeps the version of before in pod ${old.name}`);
    return {
      notYet: `${this.#name()} runs since before the delivery (pod ${old.name}) and is waited for until it ends`,
    };
  }

  /** When the Secret was last written by us; by anybody, should nothing tell of us. */
  async #deliveredAt(call: Call, versionId: string): Promise<number> {
    const { namespace } = this.#found;
    const ref = { apiVersion: 'v1', kind: 'Secret', namespace, name: this.#secretName };
    const { name } = await assertDelivered(call, this.#cluster, ref, versionId);
    const secret = await this.#cluster.read(call, { ...ref, name });
    const written = (secret?.metadata?.managedFields ?? []).map(({ manager, time }) => ({
      manager,
      at: new Date(time ?? 0).getTime(),
    }));
    const ours = written.filter(({ manager }) => manager === FIELD_MANAGER);
    return Math.max(...(ours.length > 0 ? ours : written).map(({ at }) => at));
  }

  #proof(detail: string, pods?: readonly PodEvidence[]): ConsumerProof {
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'acknowledged',
      detail: `${this.#name()}: ${detail}`,
      ...(pods ? { pods } : {}),
    };
  }

  #refused({ why, hint }: Extract<Disposition, { readonly do: 'refuse' }>, what: string): RotorError {
    return new RotorError('rollout.unhealthy', { what: `${this.#name()} ${what}, and ${why}`, hint });
  }

  #name(): string {
    const { kind, namespace, name } = this.#found;
    return `${kind.toLowerCase()} ${namespace}/${name} in cluster ${this.#cluster.name}`;
  }
}
