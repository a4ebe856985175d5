import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  type Clusters,
  type ObjectRef,
  refOf,
} from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { assertDelivered } from '../../kubernetes/delivered.ts';
import { endpointPods } from '../../kubernetes/endpoints.ts';
import { podsOn } from '../../kubernetes/pod-evidence.ts';
import { backToVersion, toVersion } from '../../kubernetes/template-version.ts';
import { notBetween } from '../../kubernetes/way-back.ts';
import {
  obstacleOf,
  progressOf,
  selectorOf,
  versionAnnotation,
  workloadRef,
} from '../../kubernetes/workloads.ts';
import { surveyNamed } from '../named-survey.ts';
import { type AllowedCommands, assertAllowed as assertAllowedCommand } from '../reload/allowed-commands.ts';
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
import { askGates } from './gates.ts';
import { nameOfGate } from './gates-decision.ts';
import type { Gate } from './gates-spec.ts';
import { neighbourWarnings } from './neighbours.ts';
import { labelPods, mismatch, podsIn, slicesIn, switchService } from './service.ts';
import { type BlueGreenSpec, blueGreenSpec } from './spec.ts';
import { BLUE, SLOT, slotOf, TWIN_OF, twinName, twinOf } from './twin.ts';

/**
 * A twin of the Deployment comes up beside it with the new version; once it is ready the Service is switched to it in one
 * write. The Deployment itself stays as it is, warm, for the grace time, so that the way back is one write too. Then it takes
 * the version as well, since its idle pods would keep the old credential in use; the Service goes back to it, and the twin
 * is removed: what GitOps applied is never changed but for one annotation.
 */
export function blueGreenRollout({
  clusters,
  allowedCommands = [],
}: {
  readonly clusters: Clusters;
  /** Commands that gates may run on this worker. */
  readonly allowedCommands?: AllowedCommands;
}): Rollout<BlueGreenSpec> {
  return {
    kind: 'blueGreen',
    spec: blueGreenSpec,
    open: (consumer, spec) => new BlueGreenSession(consumer, clusters, spec, allowedCommands),
  };
}

class BlueGreenSession implements RolloutSession {
  readonly consumer: string;
  readonly moves: MovedWorkload;
  readonly #clusters: Clusters;
  readonly #spec: BlueGreenSpec;
  readonly #annotation: string;
  readonly #allowed: AllowedCommands;

  constructor(consumer: string, clusters: Clusters, spec: BlueGreenSpec, allowed: AllowedCommands) {
    this.consumer = consumer;
    this.#allowed = allowed;
    this.#clusters = clusters;
    this.#spec = spec;
    this.#annotation = versionAnnotation(spec.secretName);
    this.moves = { ...this.#blueRef(), context: spec.context };
  }

  async plan(call: Call): Promise<void> {
    this.#assertCommands();
    const cluster = await this.#clusters.open(this.#spec.context);
    const { namespace } = this.#spec;
    const blue = await this.#read(call, cluster, this.#blueRef());
    const service = await this.#read(call, cluster, this.#serviceRef());
    for (const [verb, ref] of [
      ['patch', this.#blueRef()],
      ['create', this.#blueRef()],
      ['delete', { ...this.#blueRef(), name: '' }],
      // The twin gets as many pods as the Deployment, and what the gates saw is noted at it.
      ['patch', { ...this.#blueRef(), name: '' }],
      ['list', { ...this.#blueRef(), name: '' }],
      ['patch', this.#serviceRef()],
      ['list', podsIn(namespace)],
      ['patch', podsIn(namespace)],
      ['list', slicesIn(namespace)],
    ] as const)
      await assertAllowed(call, cluster, verb, ref);
    const obstacle = obstacleOf(blue) ?? mismatch(blue, service);
    if (obstacle)
      throw new RotorError('rollout.unhealthy', {
        what: `deployment ${namespace}/${this.#spec.deployment} in cluster ${cluster.name}: ${obstacle}`,
        hint: 'Bring it to a healthy state first; nothing has been changed.',
      });
  }

  async survey(call: Call): Promise<Survey> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { consumer } = this;
    const { service, secretName } = this.#spec;
    const named = { consumer, moves: 'blueGreen', secretName };
    const { found, warnings } = await surveyNamed(call, cluster, this.#blueRef(), named);
    return {
      found,
      warnings: [...warnings, ...(await neighbourWarnings(call, cluster, this.#blueRef(), service))],
    };
  }

  async move(
    call: Call,
    credential: Credential,
    going: Going,
    _windowMs?: number,
    known?: Known,
  ): Promise<ConsumerProof | NotYet> {
    const cluster = await this.#clusters.open(this.#spec.context);
    if (going === 'forward') this.#assertCommands();
    return going === 'forward'
      ? this.#toGreen(call, cluster, credential)
      : this.#backToBlue(call, cluster, credential, known);
  }

  async finish(call: Call, credential: Credential): Promise<NotYet | undefined> {
    const cluster = await this.#clusters.open(this.#spec.context);
    const { namespace, secretName } = this.#spec;
    const secret = await assertDelivered(
      call,
      cluster,
      { namespace, name: secretName },
      credential.versionId,
    );
    const { workload: blue } = await toVersion(
      call,
      cluster,
      this.#blueRef(),
      await this.#read(call, cluster, this.#blueRef()),
      this.#annotation,
      credential.versionId,
      secret,
    );
    const progress = progressOf(blue);
    const name = `deployment ${this.#spec.namespace}/${this.#spec.deployment}`;
    if (progress.state === 'stuck')
      throw new RotorError('rollout.unhealthy', {
        what: `${name} in cluster ${cluster.name} does not take the version that its twin runs well with: ${progress.detail}`,
        hint: `Its clients are served by the twin meanwhile. Mend it, then resume the rotation.`,
      });
    if (progress.state === 'moving') return { notYet: `${name} takes the version too: ${progress.detail}` };
    // Old pods that are on their way out use the old credential until they are gone.
    const all = await podsOn(call, cluster, blue, this.#annotation, credential.versionId);
    const old = all.find(({ onVersion }) => !onVersion);
    if (old) return { notYet: `${name} takes the version too: pod ${old.name} of before is still there` };
    await switchService(call, cluster, this.#serviceRef(), undefined);
    await this.#removeTwins(call, cluster, []);
    return undefined;
  }

  async #toGreen(call: Call, cluster: Cluster, credential: Credential): Promise<ConsumerProof | NotYet> {
    const slot = slotOf(credential.versionId);
    const { namespace, secretName } = this.#spec;
    const secret = await assertDelivered(
      call,
      cluster,
      { namespace, name: secretName },
      credential.versionId,
    );
    const ref: ObjectRef = { ...this.#blueRef(), name: twinName(this.#spec.deployment, slot) };
    const service = await this.#read(call, cluster, this.#serviceRef());
    const blue = await this.#read(call, cluster, this.#blueRef());
    const serving: string | undefined = service.spec?.selector?.[SLOT];
    if (serving === undefined || serving === BLUE) await this.#pinToBlue(call, cluster, blue);
    // Twins of earlier attempts, but for the one whose pods serve now.
    await this.#removeTwins(call, cluster, [slot, ...(serving ? [serving] : [])]);
    const found =
      (await cluster.read(call, ref)) ??
      (await cluster.create(call, twinOf(blue, slot, { [this.#annotation]: credential.versionId }, secret)));
    const twin = await this.#asManyAs(call, cluster, found, blue);
    const progress = progressOf(twin);
    const name = `deployment ${ref.namespace}/${ref.name}`;
    if (progress.state === 'stuck')
      throw new RotorError('rollout.unhealthy', {
        what: `${name} in cluster ${cluster.name}: ${progress.detail}; its clients are still served by ${this.#spec.deployment}`,
        hint: `kubectl --context ${cluster.name} -n ${ref.namespace} describe deployment ${ref.name}`,
      });
    if (progress.state === 'moving') return { notYet: `${name}: ${progress.detail}` };
    if (serving !== slot) {
      const { consumer } = this;
      const { versionId } = credential;
      const asked = await askGates(call, cluster, this.#spec.gates, { consumer, versionId, workload: twin });
      if (asked !== undefined) return { notYet: asked };
    }
    await switchService(call, cluster, this.#serviceRef(), slot);
    const pods = await podsOn(call, cluster, twin, this.#annotation, credential.versionId);
    const reached = await endpointPods(call, cluster, this.#serviceRef());
    const others = reached?.filter((pod) => !pods.some(({ name: known }) => known === pod)) ?? [];
    if (others.length > 0) return { notYet: `service ${this.#spec.service} still leads to pod ${others[0]}` };
    if (reached?.length === 0 && pods.length > 0)
      return { notYet: `service ${this.#spec.service} leads to no pod of ${ref.name} yet` };
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail: `service ${this.#spec.namespace}/${this.#spec.service} leads to ${ref.name}, whose ${pods.length} pods started with this version${passed(this.#spec.gates)}`,
      pods,
    };
  }

  /**
   * Somebody (an autoscaler, perhaps) may have given the Deployment more pods since the twin was made: it is to carry what
   * they carry.
   */
  async #asManyAs(
    call: Call,
    cluster: Cluster,
    twin: ClusterObject,
    blue: ClusterObject,
  ): Promise<ClusterObject> {
    const wanted: number = blue.spec?.replicas ?? 1;
    if ((twin.spec?.replicas ?? 1) >= wanted) return twin;
    const { resourceVersion } = twin.metadata ?? {};
    return cluster.mergePatch(call, refOf(twin), {
      metadata: { resourceVersion },
      spec: { replicas: wanted },
    });
  }

  #assertCommands(): void {
    for (const gate of this.#spec.gates)
      if ('command' in gate) assertAllowedCommand(this.consumer, gate.command.run, this.#allowed);
  }

  /** Within the grace time the Deployment was never touched: its pods run what they ran. Later it is rolled back. */
  async #backToBlue(
    call: Call,
    cluster: Cluster,
    credential: Credential,
    known: Known | undefined,
  ): Promise<ConsumerProof | NotYet> {
    const { namespace, deployment, service: name, secretName } = this.#spec;
    const found = await cluster.read(call, this.#blueRef());
    if (!found) {
      await this.#removeTwins(call, cluster, []);
      await this.#leadBack(call, cluster);
      return goneProof(this.consumer, `deployment ${namespace}/${deployment} in cluster ${cluster.name}`);
    }
    const { workload: blue, wanted } = await backToVersion(
      call,
      cluster,
      this.#blueRef(),
      found,
      this.#annotation,
      credential.versionId,
      this.#spec.secretName,
    );
    const progress = progressOf(blue);
    if (progress.state === 'stuck')
      throw new RotorError('rollout.unhealthy', {
        what: `deployment ${namespace}/${deployment} in cluster ${cluster.name} does not come back: ${progress.detail}`,
        // Right after the way back began, the controller still says what it said of the way forward.
        kind: 'retryable',
      });
    const service = await cluster.read(call, this.#serviceRef());
    if (service?.spec?.selector?.[SLOT] === BLUE) await labelPods(call, cluster, blue);
    if (progress.state === 'moving')
      return { notYet: `deployment ${namespace}/${deployment}: ${progress.detail}` };
    if (service?.spec?.selector?.[SLOT] !== undefined) {
      await labelPods(call, cluster, blue);
      await switchService(call, cluster, this.#serviceRef(), BLUE);
    }
    await this.#removeTwins(call, cluster, []);
    const left = await this.#podOfTwins(call, cluster, blue);
    if (left) return { notYet: `pod ${namespace}/${left} of its twin is about to be removed` };
    await this.#leadBack(call, cluster);
    const back = {
      ref: this.#blueRef(),
      workload: blue,
      secret: await assertDelivered(call, cluster, { namespace, name: secretName }, credential.versionId),
      annotation: this.#annotation,
      wanted,
      changedSince: known?.changedSince,
    };
    // The twin's pods bear the labels of the Deployment's, and are on their way out.
    const all = await podsOn(call, cluster, blue, this.#annotation, wanted);
    const ofBefore = all.filter(({ onVersion }) => onVersion);
    // Only now: pods that are made anew have no label that a Service could go by.
    const seen = await notBetween(call, cluster, back, ofBefore);
    if ('notYet' in seen) return { notYet: `deployment ${namespace}/${deployment}: ${seen.notYet}` };
    const { pods } = seen;
    return {
      consumer: this.consumer,
      healthy: true,
      version: 'restarted',
      detail: service
        ? `service ${namespace}/${name} leads to the ${pods.length} pods of ${deployment}, which have the template of before`
        : `there is no service ${namespace}/${name} any more; the ${pods.length} pods of ${deployment} have the template of before`,
      pods,
    };
  }

  /**
   * Before a twin with the same labels appears, the Service is told to lead to the pods that it leads to now, and no others.
   * Those that the Deployment gets afterwards, in place of others or besides, are told the same.
   */
  async #pinToBlue(call: Call, cluster: Cluster, blue: ClusterObject): Promise<void> {
    await labelPods(call, cluster, blue);
    await switchService(call, cluster, this.#serviceRef(), BLUE);
  }

  /** On the way back: the selector as it was, if the Service is still there. */
  async #leadBack(call: Call, cluster: Cluster): Promise<void> {
    if (await cluster.read(call, this.#serviceRef()))
      await switchService(call, cluster, this.#serviceRef(), undefined);
  }

  /** @param but slots whose twins stay */
  async #removeTwins(call: Call, cluster: Cluster, but: readonly string[]): Promise<void> {
    const ours = `${TWIN_OF}=${this.#spec.deployment.slice(0, 63)}${but.length > 0 ? `,${SLOT} notin (${but.join(',')})` : ''}`;
    const { apiVersion, kind, namespace } = this.#blueRef();
    for (const twin of await cluster.list(call, { apiVersion, kind, namespace }, ours))
      await cluster.remove(call, { ...this.#blueRef(), name: twin.metadata?.name ?? '' });
  }

  /**
   * Pods bear the Deployment's labels and outlive their twin until the cluster has collected them: until then the Service must
   * not be told to lead to all with these labels.
   * @returns one that is not on its way out yet
   */
  async #podOfTwins(call: Call, cluster: Cluster, blue: ClusterObject): Promise<string | undefined> {
    const selector = `${selectorOf(blue)},${SLOT},${SLOT}!=${BLUE}`;
    const pods = await cluster.list(call, podsIn(this.#spec.namespace), selector);
    return pods.find(({ metadata }) => metadata?.deletionTimestamp === undefined)?.metadata?.name;
  }

  #blueRef(): ObjectRef {
    return workloadRef('Deployment', this.#spec.namespace, this.#spec.deployment);
  }

  #serviceRef(): ObjectRef {
    return { apiVersion: 'v1', kind: 'Service', namespace: this.#spec.namespace, name: this.#spec.service };
  }

  async #read(call: Call, cluster: Cluster, ref: ObjectRef): Promise<ClusterObject> {
    const found = await cluster.read(call, ref);
    if (found) return found;
    throw new RotorError('cluster.not-found', {
      what: `consumer ${this.consumer}: there is no ${ref.kind.toLowerCase()} ${ref.namespace}/${ref.name} in cluster ${cluster.name}`,
    });
  }
}

function passed(gates: readonly Gate[]): string {
  return gates.length === 0 ? '' : `; passed ${gates.map(nameOfGate).join(', ')}`;
}
