import type { z } from 'zod';
import type { Call } from '../core/call.ts';
import type { SecretValue } from '../core/secret.ts';

/** Stages of a version, as AWS names them without the prefix. A version without a stage may be pruned. */
export type Stage = 'pending' | 'current' | 'previous';

export interface StoredVersion {
  readonly versionId: string;
  readonly stages: readonly Stage[];
  readonly createdAt: Date;
}

/**
 * One opened store. Paths are the operator's (`shop/app`); documents are opaque. Every method may be
 * repeated after an unknown outcome and then changes nothing. Writers carry `call.fence`; a store that
 * can remember it refuses a lower one with `store.fenced`.
 */
export interface StoreSession {
  /**
   * Adds a version in stage `pending`; another pending version loses that stage.
   * @throws RotorError `store.conflict` when the id exists with another document
   */
  stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void>;

  /** The document of a version, or of the version that has a stage; undefined when there is none. */
  read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined>;

  /**
   * Makes `versionId` current; the version that was becomes `previous`. Serves publishing and rolling back.
   * @param expected the version that must be current now (undefined: none); when `versionId` is current already
   *   nothing happens
   * @throws RotorError `store.conflict` when another version is current, `store.not-found` when the id is unknown
   */
  promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void>;

  /**
   * Whether a rotation could work on `path`, before anything is changed; absent where there is nothing to look at.
   * @throws RotorError with what stands in the way
   */
  check?(call: Call, path: string): Promise<StoreReport>;

  /**
   * Looks whether the form in which the current version stands there is out of date (sealed for a key that was replaced),
   * and brings it up to date where `repair` says so; absent where forms don't age. The credential stays the same.
   * @returns what was out of date, in words
   */
  renew?(call: Call, path: string, repair: boolean): Promise<string | undefined>;

  /** Removes a version and its document. Unknown ids are fine; the current one is refused (`store.conflict`). */
  discard(call: Call, path: string, versionId: string): Promise<void>;

  /** All versions of a path, newest first, without documents. */
  list(call: Call, path: string): Promise<readonly StoredVersion[]>;

  close(): Promise<void>;
}

/** What a store has to say about a path that a rotation could work on. */
export interface StoreReport {
  /** What the person who plans a rotation should know. Never contains a secret. */
  readonly warnings: readonly string[];
}

/** What a store can't do that others can, as data: the conformance kit asks for no more, docs/stores.md says the same. */
export interface StoreLimits {
  /** Longest document in bytes; longer ones are refused with `store.too-large`. */
  readonly maxBytes?: number;
  /** false: it remembers no fencing token, and relies on the precondition of `promote` and on deadlines alone. */
  readonly fences?: false;
  /** false: a discarded version only loses its stages; the store's own rules delete it later. */
  readonly destroys?: false;
}

/** How a provider's own events speak of a secret. */
export interface EventAddress {
  /** Its name at the provider, prefix included. */
  readonly name: string;
  /** Where it is (`region`, `account`, `vault`, `project`), as far as the spec says so. */
  readonly within: Readonly<Record<string, string>>;
  /** As whom Rotor goes there, by the name that events give; what they tell of it is no request. */
  readonly actsAs?: string;
}

/** One home of secret versions. Knows no rotator. */
export interface Store<Spec = unknown> {
  /** Key under which manifests name it (`spec.local`). */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  /** Its sessions have `renew`. */
  readonly renews?: true;
  /** None when absent. */
  readonly limits?: StoreLimits;
  /** By what events of its provider name what is kept at `path`; absent where there are none. Pure. */
  eventAddress?(spec: Spec, path: string): EventAddress;
  open(spec: Spec): StoreSession;
}
