import type { z } from 'zod';
import type { Call } from '../core/call.ts';
import type { Credential, CredentialFormat } from '../core/credential.ts';
import type { SecretDesk } from './function/secret-desk.ts';

/** What a kind of credential can do at its provider, as data: the saga decides by it, the docs print it. */
export interface Capabilities {
  /**
   * `two-identities`: another user or key lives beside the old one. `two-secrets`: one user accepts both
   * passwords. `none`: installing the new secret refuses the old one at once. `no-provider`: nobody checks it.
   */
  readonly overlap: 'two-identities' | 'two-secrets' | 'none' | 'no-provider';
  /** Who makes the secret: Rotor (`install` sends it) or the provider (`generate` receives it). */
  readonly issuedBy: 'rotor' | 'provider';
  /** Whether `usage` sees who still uses a credential. */
  readonly seesUsage: boolean;
  /** What stops a worker that slept past its lease: the provider itself, or only the call's deadline. */
  readonly fence: 'provider' | 'deadline';
  /**
   * The provider replaces the secret itself in `generate`, and takes no old one back: from then on there is only forward,
   * unless `current` is seen to be accepted still. A repeated `generate` returns what an earlier one with the same
   * `current` has made.
   */
  readonly forwardOnly?: true;
  /**
   * The old credential is left as it is: nothing here can kill it. `tried`: what it is worth is looked at and told;
   * `untried`: it can't even be tried. Absent where `revoke` kills it.
   */
  readonly leavesOld?: 'tried' | 'untried';
  /**
   * A new secret is put in force by logging in with the one before it, as far as the store has it. One that may be in force is
   * never thrown away: after it nothing could log in.
   */
  readonly needsPending?: true;
}

/** One observation of who uses a credential at the provider. Never holds a secret. */
export interface Usage {
  /** Open sessions (or recent uses) of this credential; undefined when the provider doesn't tell. */
  readonly sessions: number | undefined;
  /** Who they are, for people: at most ten lines such as `10.0.0.7:5123 app=orders since 2026-01-01T00:00:00Z`. */
  readonly clients: readonly string[];
}

/** A session of a leaked credential, as the provider showed it before it was ended. */
export interface SeenSession {
  /** Address; absent for a local one, or where the provider doesn't tell. */
  readonly client?: string;
  readonly application?: string;
  readonly since?: string;
}

/** Who used a leaked credential when it was contained. Never holds a secret. */
export interface SeenUse {
  readonly identity: string;
  /** Sessions that were open, and that were ended then. */
  readonly sessions: number;
  /** A hundred of them at most. */
  readonly seen: readonly SeenSession[];
}

export interface PlanReport {
  /** What will happen, one sentence each, for `rotor plan`. */
  readonly actions: readonly string[];
  /** What the operator should know before it happens (no overlap, missing rights to see sessions). */
  readonly warnings: readonly string[];
}

/**
 * A credential of one policy at its provider, opened for one step. Every method may be repeated after an
 * unknown outcome: `install`, `uninstall` and `revoke` are idempotent. Errors are RotorErrors: `ambiguous`
 * when the provider may have done it, `retryable` or `terminal` when it surely has not.
 */
export interface RotatorSession {
  /** Capabilities of this session's configuration (a mode of the rotator may have fewer than another). */
  readonly capabilities: Capabilities;
  readonly format: CredentialFormat;
  /** How long one of its calls may take in milliseconds; as long as any other when absent. */
  readonly callMs?: number;
  /** What `generate` makes is in the store already, staged as pending: somebody else's program has put it there. */
  readonly stagesItself?: true;
  /**
   * How long a call that wasn't answered may still have effect, in milliseconds: somebody else's program goes on elsewhere, and
   * no deadline of ours ends it. Absent where nothing lands after its call.
   */
  readonly lingersMs?: number;

  /**
   * Checks the preconditions and changes nothing: admin may do it, a slot is free, `current` logs in.
   * @param leaked `current` has leaked and may be disabled already: that it doesn't log in is no obstacle
   * @throws RotorError terminal, saying what is missing.
   */
  plan(call: Call, current: Credential | undefined, leaked?: boolean): Promise<PlanReport>;

  /**
   * Makes a new credential without telling the provider. Random, so callers must stage it before `install`. Where the
   * provider issues it, asks the provider for it.
   */
  generate(call: Call, versionId: string, current: Credential | undefined): Promise<Credential>;

  /**
   * What comes before `install` and changes nothing at the provider. Once it is done that is on record, so that a way back
   * knows whether `install` can have begun.
   */
  prepare?(call: Call, pending: Credential): Promise<void>;

  /** Makes the provider accept `pending`. */
  install(call: Call, pending: Credential, current: Credential | undefined): Promise<void>;

  /**
   * Uses the credential for real, as a consumer would.
   * @returns whether the provider accepted or refused it
   * @throws RotorError retryable when the provider couldn't be asked
   */
  attempt(call: Call, credential: Credential): Promise<'accepted' | 'refused'>;

  /** What is to be done at the provider when `pending` becomes current; where a foreign program moves the label, it does. */
  finish?(call: Call, pending: Credential, current: Credential | undefined): Promise<void>;

  /** Undoes `install`: the provider refuses `pending` again, and accepts `current`. */
  uninstall(call: Call, pending: Credential, current: Credential | undefined): Promise<void>;

  /** Who still uses `credential`. For one user with a replaced secret: sessions opened before `since`. */
  usage(call: Call, credential: Credential, since: Date): Promise<Usage>;

  /**
   * Makes the provider refuse a leaked credential at once, in a way that the admin can take back, and ends its sessions.
   * Repeated without harm, also when the credential was replaced meanwhile. Absent where the provider can't, or where it
   * would lock Rotor out: there the rotation itself is the containment.
   * @param seen told who uses it, before their sessions are ended; again when there turn out to be more
   */
  contain?(call: Call, leaked: Credential, seen?: (use: SeenUse) => void): Promise<void>;

  /** Kills `old` for good and ends its sessions, those opened before `since` where both share a user. */
  revoke(call: Call, old: Credential, current: Credential, since: Date): Promise<void>;

  close(): Promise<void>;
}

/** What the saga lends a rotator that lets a program of somebody else do the work. */
export interface Opening {
  /** The versions of this policy, by the API that such programs speak. */
  readonly desk: SecretDesk;
  /** @throws RotorError unless the operator lets policies run this command here */
  assertAllowed(command: readonly string[]): void;
}

/** One kind of credential. Knows no store, queue, cluster or ledger. */
export interface Rotator<ProviderSpec = unknown, CredentialSpec = unknown> {
  /** Key under which manifests name it (`spec.postgres`). */
  readonly kind: string;
  /** Schema of the Provider manifest's `spec.<kind>`; undefined for kinds without a provider. */
  readonly provider: z.ZodType<ProviderSpec> | undefined;
  /** Schema of the RotationPolicy manifest's `spec.credential.<kind>`. */
  readonly credential: z.ZodType<CredentialSpec>;
  open(provider: ProviderSpec | undefined, credential: CredentialSpec, opening?: Opening): RotatorSession;
  /**
   * The same kind for one piece of work about many credentials: its sessions take over each other's connections to the
   * provider, one after the other. Absent where that would save nothing.
   */
  sharing?(): Sharing<ProviderSpec, CredentialSpec>;
}

export interface Sharing<ProviderSpec = unknown, CredentialSpec = unknown> {
  readonly open: Rotator<ProviderSpec, CredentialSpec>['open'];
  /** Ends what is open; sessions that are still at work end theirs themselves. */
  close(): Promise<void>;
}
