import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { open, seal } from '../../core/seal.ts';
import type { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import {
  replaceStagelessPath,
  type SealedVersion,
  type StagelessPath,
  stagelessPath,
} from '../../ledger/stageless.ts';
import type { StagelessSession, Standing } from '../../stores/stageless.ts';
import { discarded, promoted, pruned, type Staged, versionAt, withPending } from '../../stores/stages.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../../stores/store.ts';
import { type Current, currentOf, effective, type Seen } from './state.ts';

/** Versions without a stage that are kept per path: what was staged and taken over by another rotation. */
const KEPT = 3;

/** Longest document that the ledger keeps, in bytes: what stands for a credential is far shorter. */
export const MAX_BYTES = 1_000_000;

export interface Shelf {
  readonly ledger: Ledger;
  readonly keyring: Keyring;
}

/** By which the ledger finds the versions of a path again. */
interface Address {
  readonly home: string;
  readonly place: (path: string) => string;
}

/** One look at a path: what the ledger knows, what stands there, and what that means. */
interface View {
  readonly known: StagelessPath;
  readonly standing: Standing | undefined;
  readonly seen: Seen;
  readonly current: Current;
  /** One without `sealed` is somebody else's. */
  readonly versions: readonly (Staged & { readonly sealed?: string })[];
}

interface Found {
  readonly versionId: string;
  readonly document: SecretValue;
}

/**
 * Stages for a store that has none: versions are kept in the ledger, sealed with the key-encryption key, with a record of
 * their stages that changes only by comparing. What consumers read stands in the store itself. Publishing is decided in
 * the ledger first, with what stood in the store at that time; then it is written, and looked at: whoever is killed in
 * between, the next one finds out which of both stands there.
 */
export class StagedByLedger implements StoreSession {
  readonly #inner: StagelessSession;
  readonly #address: Address;
  readonly #shelf: Shelf;
  readonly #maxBytes: number;
  readonly #markKey: SecretValue;
  readonly check?: (call: Call, path: string) => Promise<StoreReport>;
  readonly renew?: (call: Call, path: string, repair: boolean) => Promise<string | undefined>;

  constructor(inner: StagelessSession, address: Address, maxBytes: number, shelf: Shelf) {
    this.#maxBytes = maxBytes;
    this.#inner = inner;
    this.#address = address;
    this.#shelf = shelf;
    this.#markKey = shelf.keyring.derive('stageless-marks');
    const { check } = inner;
    if (check) this.check = (call, path) => check.call(inner, call, path);
    if (inner.outdated) this.renew = (call, path, repair) => this.#renew(call, path, repair);
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    if (document.size > this.#maxBytes) {
      throw new RotorError('store.too-large', {
        what: `store path ${path}: the document has ${document.size} bytes, and ${this.#maxBytes} fit there`,
      });
    }
    for (;;) {
      const known = await this.#known(call, path);
      this.#assertTurn(call, path, known);
      const same = known.versions.find((version) => version.versionId === versionId);
      if (same && !this.#open(path, same).equals(document)) {
        throw new RotorError('store.conflict', {
          what: `store path ${path}: version ${versionId} exists with another document`,
        });
      }
      const fresh = same ?? this.#sealed(call, path, versionId, document);
      const versions = withPending(known.versions, fresh);
      if (await this.#record(call, path, known, { ...known, versions })) return;
    }
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<Found | undefined> {
    if (typeof which !== 'string') {
      const { versions } = await this.#known(call, path);
      const kept = versions.find(({ versionId }) => versionId === which.versionId);
      if (kept) return { versionId: kept.versionId, document: this.#open(path, kept) };
    }
    const { versions, standing } = await this.#look(call, path);
    const found = versionAt(versions, which);
    if (!found) return undefined;
    const { versionId } = found;
    if (isSealed(found)) return { versionId, document: this.#open(path, found) };
    if (standing?.document) return { versionId, document: standing.document };
    throw unreadable(path);
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    for (let written = false; ; ) {
      const view = await this.#look(call, path);
      const { known, current, standing, seen } = view;
      this.#assertTurn(call, path, known);
      const waiting = current.is === 'ours' && !current.stands ? current.versionId : undefined;
      if (waiting !== undefined) {
        const back = expected === waiting ? this.#stands(path, standing, known, versionId) : undefined;
        if (back) {
          // Decided and never carried out, and now taken back: what is asked for stands there still.
          const versions = promoted(known.versions, path, versionId, expected);
          const live = { versionId, over: seen.mark, published: true };
          if (await this.#record(call, path, known, { ...known, versions, live })) return;
          continue;
        }
        if (written) throw unseen(path, waiting);
        await this.#write(call, path, known, waiting, standing);
        written = true;
        continue;
      }
      // Only what was decided: over an earlier version, somebody may have written that one anew.
      const stands = current.is === 'ours' && current.versionId === known.live?.versionId;
      if (known.live && !known.live.published && stands) {
        const live = { ...known.live, published: true };
        const confirmed = await this.#record(call, path, known, { ...known, live });
        if (confirmed && live.versionId === versionId) return;
        continue;
      }
      const versions = promoted(view.versions, path, versionId, expected);
      if (versions === view.versions) {
        // What stands there may be an earlier version that somebody put back: from here on that is on record.
        const putBack = current.is === 'ours' && known.live?.versionId !== versionId;
        const live = putBack ? { versionId, over: '', published: true } : known.live;
        const recorded = putBack ? versions.filter(isSealed) : known.versions;
        if (await this.#record(call, path, known, { versions: recorded, live })) return;
        continue;
      }
      // From here on it is decided; whoever comes next carries it out.
      const decided = await this.#record(call, path, known, {
        ...known,
        versions: this.#withForeign(call, path, versions, standing),
        live: { versionId, over: seen.mark, published: false },
      });
      written = false;
      if (!decided) continue;
      const now = await this.#known(call, path);
      if (now.generation !== known.generation + 1n) continue;
      await this.#write(call, path, now, versionId, standing);
      written = true;
    }
  }

  async discard(call: Call, path: string, versionId: string): Promise<void> {
    for (;;) {
      const { known, versions } = await this.#look(call, path);
      this.#assertTurn(call, path, known);
      discarded(versions, path, versionId);
      const left = known.versions.filter((version) => version.versionId !== versionId);
      const live = known.live?.versionId === versionId ? undefined : known.live;
      if (await this.#record(call, path, known, { ...known, versions: left, live })) return;
    }
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const { versions } = await this.#look(call, path);
    return versions
      .map(({ versionId, stages, createdAt }) => ({ versionId, stages, createdAt: new Date(createdAt) }))
      .reverse();
  }

  async close(): Promise<void> {
    this.#markKey.destroy();
    await this.#inner.close();
  }

  async #renew(call: Call, path: string, repair: boolean): Promise<string | undefined> {
    const { known, current, standing } = await this.#look(call, path);
    if (!standing || current.is !== 'ours' || !current.stands) return undefined;
    const why = await this.#inner.outdated?.(call, path, standing);
    if (why === undefined || !repair) return why;
    this.#assertTurn(call, path, known);
    await this.#write(call, path, known, current.versionId, standing);
    return why;
  }

  async #known(call: Call, path: string): Promise<StagelessPath> {
    call.deadline.assertTime(`look up the versions of ${path}`);
    return stagelessPath(this.#shelf.ledger, ...this.#key(path));
  }

  async #look(call: Call, path: string): Promise<View> {
    for (let known = await this.#known(call, path); ; ) {
      const standing = await this.#inner.look(call, path);
      const seen: Seen = {
        mark: standing ? this.#mark(path, standing.mark) : '',
        versionId: this.#versionOf(path, standing, known),
        since: (standing?.since ?? call.clock.now()).toISOString(),
        readable: standing?.document !== undefined,
      };
      const current = currentOf(known, seen);
      const view = { known, standing, seen, current, versions: effective(known.versions, current, seen) };
      if (current.is === 'ours' && current.versionId === known.live?.versionId) return view;
      // Looks like somebody else's work, and may be a promotion between the two looks.
      const again = await this.#known(call, path);
      if (again.generation === known.generation) return view;
      known = again;
    }
  }

  /** Which version stands there; one that is only pending was never put there by Rotor. */
  #versionOf(path: string, standing: Standing | undefined, known: StagelessPath): string | undefined {
    if (!standing) return undefined;
    const { live } = known;
    const ours = known.versions.filter(
      ({ versionId, stages }) => versionId === live?.versionId || stages.some((stage) => stage !== 'pending'),
    );
    const first = ours.toSorted(
      (a, b) => Number(b.versionId === live?.versionId) - Number(a.versionId === live?.versionId),
    );
    return first.find((version) => this.#isAt(path, standing, version))?.versionId;
  }

  #stands(path: string, standing: Standing | undefined, known: StagelessPath, versionId: string): boolean {
    const version = known.versions.find((each) => each.versionId === versionId);
    return version !== undefined && standing !== undefined && this.#isAt(path, standing, version);
  }

  #isAt(path: string, standing: Standing, version: SealedVersion): boolean {
    const document = this.#open(path, version);
    const is = standing.is(version.versionId, document);
    document.destroy();
    return is;
  }

  async #write(
    call: Call,
    path: string,
    known: StagelessPath,
    versionId: string,
    standing: Standing | undefined,
  ): Promise<void> {
    const version = known.versions.find((each) => each.versionId === versionId);
    if (!version)
      throw new RotorError('internal.bug', {
        what: `store path ${path}: version ${versionId} has no document`,
      });
    call.deadline.assertTime(`write ${path}`);
    const document = this.#open(path, version);
    try {
      await this.#inner.write(call, path, { versionId, document }, standing);
    } finally {
      document.destroy();
    }
  }

  /** Keeps what somebody else wrote, so that it can be gone back to; what can't be read can't be kept. */
  #withForeign(
    call: Call,
    path: string,
    versions: View['versions'],
    standing: Standing | undefined,
  ): readonly SealedVersion[] {
    return versions.flatMap((version) => {
      if (isSealed(version)) return [version];
      if (!standing?.document) return [];
      return [{ ...version, sealed: this.#sealed(call, path, version.versionId, standing.document).sealed }];
    });
  }

  /** Writes the record unless somebody was faster (false). */
  async #record(
    call: Call,
    path: string,
    before: StagelessPath,
    wanted: Omit<StagelessPath, 'generation' | 'fence'>,
  ): Promise<boolean> {
    const next = { versions: pruned(wanted.versions, KEPT), live: wanted.live, fence: call.fence };
    const same =
      before.fence === call.fence &&
      JSON.stringify([before.versions, before.live]) === JSON.stringify([next.versions, next.live]);
    if (same || (before.generation === 0n && next.versions.length === 0)) return true;
    call.deadline.assertTime(`record the versions of ${path}`);
    return replaceStagelessPath(this.#shelf.ledger, ...this.#key(path), before.generation, next);
  }

  #sealed(call: Call, path: string, versionId: string, document: SecretValue): SealedVersion {
    const sealed = seal(this.#shelf.keyring, document, this.#context(path, versionId));
    return { versionId, createdAt: call.clock.now().toISOString(), stages: [], sealed };
  }

  #open(path: string, { versionId, sealed }: Pick<SealedVersion, 'versionId' | 'sealed'>): SecretValue {
    return open(this.#shelf.keyring, sealed, this.#context(path, versionId));
  }

  #context(path: string, versionId: string): readonly string[] {
    return ['ledger.stageless-version', ...this.#key(path), versionId];
  }

  /** Bound to the path, so that equal values at two of them can't be told from the ledger. */
  #mark(path: string, mark: SecretValue): string {
    const bound = SecretValue.of(JSON.stringify([...this.#key(path), mark.reveal()]));
    const hash = bound.fingerprint(this.#markKey).toString('hex');
    bound.destroy();
    return hash;
  }

  #key(path: string): readonly [home: string, place: string] {
    return [this.#address.home, this.#address.place(path)];
  }

  #assertTurn(call: Call, path: string, { fence }: StagelessPath): void {
    if (call.fence >= fence) return;
    throw new RotorError('store.fenced', {
      what: `store path ${path}: fencing token ${call.fence} is older than ${fence}, which wrote already`,
    });
  }
}

function isSealed<V extends { readonly sealed?: string }>(
  version: V,
): version is V & { readonly sealed: string } {
  return version.sealed !== undefined;
}

function unreadable(path: string): RotorError {
  return new RotorError('store.conflict', {
    what: `store path ${path}: somebody else changed what stands there, and the store can't give it back`,
    hint: 'Put back what Rotor wrote there, or remove it and name the credential by `initialFrom` of the policy.',
  });
}

function unseen(path: string, versionId: string): RotorError {
  return new RotorError('store.unavailable', {
    what: `store path ${path}: version ${versionId} was written and taken, and the store still shows the one before`,
    hint: 'Let the Store name the server that takes writes, not a replica that follows it.',
    kind: 'ambiguous',
  });
}
