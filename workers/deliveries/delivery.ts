import type { z } from 'zod';
import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import type { SecretReaders } from '../kubernetes/consumers/blast-radius.ts';
import type { SecretHolder } from '../kubernetes/secret-holders.ts';
import type { Known, NotYet } from '../rollouts/rollout.ts';

/** How what is there differs from what was delivered: in words, with names and never a value. */
export interface Difference {
  /** The object: `secret shop/db in cluster prod`. */
  readonly target: string;
  readonly what: string;
  /** Who wrote it, as far as the target tells, and when. */
  readonly by?: string | undefined;
  readonly at?: string | undefined;
}

/** What became of objects that held dead versions. */
export interface Collected {
  readonly removed: readonly string[];
  /** Those that stay, each with the reason. */
  readonly kept: readonly string[];
}

/**
 * @param versionId the version that a target says it carries
 * @param isTarget whether an entry of a policy delivers to this target
 * @returns `namespace/name` of another policy that delivers this version there
 */
export type OtherPolicy = (
  versionId: string,
  isTarget: (entry: { readonly kind: string; readonly spec: unknown }) => boolean,
) => Promise<string | undefined>;

/** Copies a version to where consumers read it. All methods may be repeated. */
export interface DeliverySession {
  /** What is delivered to, for people and the journal: `file /run/app/db.json`. */
  readonly target: string;
  /**
   * Nothing can be seen there again: {@link holds} knows what this session has sent and no more, so that a step that delivers
   * writes it anew, and nobody looks at it between.
   */
  readonly unseen?: boolean;
  /** Others copy what the store has: on the way back the store comes first. */
  readonly readsStore?: boolean;
  /** What people have to know before they rely on it, for `rotor plan`. */
  readonly warnings?: readonly string[];
  /**
   * @param current what consumers hold today, to see whether its kind fits the target
   * @param others whether what is there now is another policy's
   * @throws RotorError terminal when this worker can't deliver there (missing directory, unknown owner).
   */
  plan(call: Call, current?: Credential, others?: OtherPolicy): Promise<void>;
  /**
   * What is to be known later of how it was before anything was changed: kept in the journal, without any secret, and given
   * back as {@link Known.before}.
   * @param current undefined: there is none
   */
  observe?(call: Call, current: Credential | undefined): Promise<unknown>;
  /**
   * Replaces what is there by `credential`, all at once or not at all. Where others write the target, sets them off.
   * @param known absent between rotations
   * @throws RotorError `cluster.not-found` when a place for it is gone; all others have it then
   */
  deliver(call: Call, credential: Credential, known?: Known): Promise<void>;
  /** Whether exactly `credential` is there now. */
  holds(call: Call, credential: Credential, known?: Known): Promise<boolean>;
  /**
   * For targets that others write: what is still to be waited for after {@link deliver}, without holding anything meanwhile.
   * @throws RotorError `delivery.failed` when they have taken too long, with what they say of it
   */
  missing?(call: Call, credential: Credential, known: Known): Promise<NotYet | undefined>;
  /** In words, how what is there differs from `credential`; nothing when it is held. Absent: only {@link holds} is known. */
  differences?(call: Call, credential: Credential): Promise<readonly Difference[]>;
  /**
   * Removes what was kept for versions that nothing will ever go back to, unless something still reads it. For targets that
   * keep an object per version.
   * @param dead ids of versions that are revoked or discarded
   */
  collect?(call: Call, dead: readonly string[]): Promise<Collected>;
  /** Who else may read what is delivered, where that can be told. */
  readers?(call: Call): Promise<readonly SecretReaders[]>;
  /** The pods that have what is delivered of a version, where that can be told. */
  holders?(call: Call, versionId: string): Promise<readonly SecretHolder[]>;
}

export interface Delivery<Spec = unknown> {
  /** Key under which manifests name it (`deliver[].file`). */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  open(spec: Spec): DeliverySession;
}
