import type { z } from 'zod';
import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import type { Freshness } from '../kubernetes/consumers/followed-consumers.ts';
import type { PodEvidence } from '../kubernetes/pod-evidence.ts';

/** What was seen of one consumer. `version` is how we know that it runs the new one. */
export interface ConsumerProof {
  readonly consumer: string;
  readonly healthy: boolean;
  /** `reported`: it named the version itself; `acknowledged`: it took the reload; `restarted`: it started after delivery. */
  readonly version: 'reported' | 'acknowledged' | 'restarted';
  readonly detail: string;
  /** Of a workload in a cluster: every pod that runs, and how we know its version. */
  readonly pods?: readonly PodEvidence[];
}

/** On its way: to be asked again, in words for people. Nothing is held meanwhile. */
export interface NotYet {
  readonly notYet: string;
}

/** To a new version, or to the one that was there before. */
export type Going = 'forward' | 'back';

/** What the rotation knows besides, whichever worker goes on with it. */
export interface Known {
  /** What {@link RolloutSession.observe} saw before anything was changed; undefined when it saw nothing. */
  readonly before: unknown;
  /** Since when consumers are on their way in this direction. */
  readonly since: Date;
  /** When the delivery of the new version was announced, be it that it was delivered or not. */
  readonly changedSince?: Date;
  /**
   * The consumer may be kept waiting for what is only cautious: what it has is accepted still, and has not leaked. Else it
   * may be ill with what it has, and the rollout is what heals it.
   */
  readonly mayWait?: boolean;
  /** On the way forward, once the consumer was proven to have moved: the pods of that proof. */
  readonly proven?: readonly PodEvidence[];
}

/** What a session moves, so that nobody else moves it as well. */
export interface MovedWorkload {
  /** Context of the kubeconfig; the current one when absent. */
  readonly context: string | undefined;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A workload that was found to read a Secret. */
export interface FoundConsumer {
  readonly consumer: string;
  /** `deployment shop/web`. */
  readonly workload: string;
  /** `env of container web`. */
  readonly reads: readonly string[];
  /** How it comes to the new version, in words. */
  readonly moves: string;
  readonly pods: number;
}

export interface Survey {
  readonly found: readonly FoundConsumer[];
  /** What could not be looked at, and what may go wrong. */
  readonly warnings: readonly string[];
}

/** Moves one consumer to the version that is delivered now; the same call moves it back after a rollback. */
export interface RolloutSession {
  readonly consumer: string;
  readonly moves?: MovedWorkload;
  /**
   * `move` to the version that it is on changes nothing, so that it is asked once more before the old credential dies:
   * somebody may have taken its template back since.
   */
  readonly provesAgain?: true;
  /** What moves it is what the store gives, not what is delivered: on the way back the store comes first. */
  readonly readsStore?: boolean;
  /** Healthy before anything is changed? @throws RotorError terminal when it isn't. */
  plan(call: Call): Promise<void>;
  /**
   * What is to be known later of how it was before: kept in the journal, without any secret, and given back as
   * {@link Known.before}.
   * @param current undefined: there is none
   */
  observe?(call: Call, current: Credential | undefined): Promise<unknown>;
  /**
   * Makes the consumer take `credential`, which is delivered already, and looks whether it is healthy with it. May be
   * repeated: what has begun goes on. On the way back a consumer that is gone counts as moved: nothing of it uses anything.
   * @param windowMs how long it may wait for other credentials of the same workload, to share one rollout with them
   * @throws RotorError `rollout.reload-failed` (retryable) or `rollout.unhealthy` (terminal)
   */
  move(
    call: Call,
    credential: Credential,
    going: Going,
    windowMs?: number,
    known?: Known,
  ): Promise<ConsumerProof | NotYet>;
  /**
   * After the grace time: gives up what was kept for a quick way back, so that nothing uses the old credential any more,
   * and looks once more at what only others can move.
   * Repeated until it returns nothing.
   * @throws RotorError `rollout.unhealthy`
   */
  finish?(call: Call, credential: Credential, known?: Known): Promise<NotYet | undefined>;
  /**
   * Of a session that stands for many: those that there are now, each with a name of its own. They are moved and proven
   * one by one, and looked up anew each time, since workloads come and go.
   */
  members?(call: Call, freshness: Freshness): Promise<readonly RolloutSession[]>;
  /** What `plan` shows to people. */
  survey?(call: Call): Promise<Survey>;
}

/** On the way back: a consumer that somebody has deleted meanwhile. `name` is the object's. */
export function goneProof(consumer: string, name: string): ConsumerProof {
  const detail = `there is no ${name} any more: nothing is left to be moved back`;
  return { consumer, healthy: true, version: 'restarted', detail, pods: [] };
}

/** On the way back: nothing had been moved. `name` is the object's. */
export function unmovedProof(consumer: string, name: string): ConsumerProof {
  const detail = `${name}: its pods have never read the other version, which was delivered under another name`;
  return { consumer, healthy: true, version: 'restarted', detail, pods: [] };
}

export interface Rollout<Spec = unknown> {
  /** Key under which manifests name it (`consumers[].reload`). */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  /** @param peers all sessions of the same policy, once they are open */
  open(consumer: string, spec: Spec, peers?: () => readonly RolloutSession[]): RolloutSession;
  /** Gives up what the kind holds for as long as the process lives. */
  close?(): Promise<void>;
}
