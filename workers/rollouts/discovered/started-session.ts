import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster } from '../../../core/kubernetes/cluster.ts';
import type { Consumer } from '../../kubernetes/consumers/consumer-index.ts';
import { dataWrittenMs } from '../../kubernetes/copied.ts';
import { nameInCronJob } from '../../kubernetes/cron-job-names.ts';
import { assertDelivered } from '../../kubernetes/delivered.ts';
import type { PodEvidence } from '../../kubernetes/pod-evidence.ts';
import type { ConsumerProof, Going, Known, NotYet, RolloutSession } from '../rollout.ts';
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
  readonly #renaming: RolloutSession | undefined;

  /** @param renaming what changes the names of Secrets in its template, where something can */
  constructor(
    consumer: string,
    cluster: Cluster,
    found: Consumer,
    disposition: Unmoved,
    secretName: string,
    renaming?: RolloutSession,
  ) {
    this.consumer = consumer;
    this.#cluster = cluster;
    this.#found = found;
    this.#disposition = disposition;
    this.#secretName = secretName;
    this.#renaming = renaming;
  }

  async plan(): Promise<void> {
    if (this.#disposition.do === 'refuse') throw this.#refused(this.#disposition, 'reads the Secret');
  }

  async move(
    call: Call,
    credential: Credential,
    going: Going,
    windowMs?: number,
    known?: Known,
  ): Promise<ConsumerProof | NotYet> {
    const disposition = this.#disposition;
    if (disposition.do === 'acknowledged')
      return this.#proof(`not observed: excluded by the policy (${disposition.reason})`);
    const { namespace, kind } = this.#found;
    const stable = { namespace, name: this.#secretName };
    const secret = await assertDelivered(call, this.#cluster, stable, credential.versionId);
    // Where each version has a Secret of its own, what starts next reads the one that its template names.
    const other = this.#found.references.find((reference) => reference.secret !== secret.name);
    if (other && kind === 'CronJob') await nameInCronJob(call, this.#cluster, this.#found, secret);
    else if (other && this.#renaming) return this.#renaming.move(call, credential, going, windowMs, known);
    if (disposition.do === 'nothing') return this.#proof(disposition.why);
    if (other && kind !== 'CronJob' && going === 'forward') return this.#names(other.secret, secret.name);
    const stored = await this.#cluster.read(call, {
      apiVersion: 'v1',
      kind: 'Secret',
      namespace,
      name: secret.name,
    });
    // Without the time of the write no pod's own time proves anything.
    const since = (stored && dataWrittenMs(stored)) ?? Number.POSITIVE_INFINITY;
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

  /** It names the Secret of another version, in a template that nobody changes: until it ends. */
  #names(other: string, wanted: string): NotYet {
    const words = `${this.#name()} reads secret ${other}, and version after version has one of its own (now ${wanted})`;
    if (this.#disposition.do === 'wait-for-end')
      return { notYet: `${words}: it is waited for until it ends` };
    throw new RotorError('rollout.unhealthy', {
      what: `${words}; nobody changes the name there`,
      hint: 'Deliver in style "stable", give it an owner whose template can be changed, or exclude it.',
    });
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
