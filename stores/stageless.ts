import type { z } from 'zod';
import type { Call } from '../core/call.ts';
import type { SecretValue } from '../core/secret.ts';
import type { StoreLimits, StoreReport } from './store.ts';

/** What stands at a path of a store that keeps one value there. */
export interface Standing {
  /** The document; absent where the store can't give back what it was given. */
  readonly document?: SecretValue;
  /** Differs between any two values that may stand there. May hold the secret: only a keyed hash of it is kept. */
  readonly mark: SecretValue;
  /** When it was written; absent where the store doesn't tell. */
  readonly since?: Date;
  /** Whether it is what `write` makes of this version. */
  is(versionId: string, document: SecretValue): boolean;
}

/**
 * One opened store that knows no stages: at each path stands what consumers read, and nothing else can be kept there.
 * workers/stageless makes a StoreSession of it, by keeping the other versions in the ledger.
 */
export interface StagelessSession<Seen extends Standing = Standing> {
  /** What stands at `path`; undefined when nothing does. */
  look(call: Call, path: string): Promise<Seen | undefined>;

  /**
   * Puts a version at `path`. Repeated after an unknown outcome only when `look` still shows `over`.
   * @param over what stood there when this was decided; a store with a precondition of its own passes it on
   * @throws RotorError `store.conflict` when that precondition fails
   */
  write(
    call: Call,
    path: string,
    version: { readonly versionId: string; readonly document: SecretValue },
    over: Seen | undefined,
  ): Promise<void>;

  /**
   * Why the form in which a version stands there is out of date, although the version is not; undefined when it isn't.
   * Writing the same version again brings it up to date.
   */
  outdated?(call: Call, path: string, standing: Seen): Promise<string | undefined>;

  /** As StoreSession.check. */
  check?(call: Call, path: string): Promise<StoreReport>;

  close(): Promise<void>;
}

/** One home that keeps the value consumers read, and no version beside it. */
export interface StagelessStore<Spec = unknown, Seen extends Standing = Standing> {
  /** Key under which manifests name it. */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  readonly limits?: StoreLimits;
  /** Its sessions have `outdated`. */
  readonly renews?: true;
  /** What tells this home from others of the kind, by which the ledger finds its versions again: no login, no time-outs. */
  home(spec: Spec): string;
  /**
   * What stands at a store path, under the one name that it has in this home however Stores spell it (a prefix, a default
   * namespace): the ledger keeps one record of it. The path itself when absent.
   * @throws RotorError `manifest.invalid` for a path that names nothing there
   */
  place?(spec: Spec, path: string): string;
  openStageless(spec: Spec): StagelessSession<Seen>;
}
