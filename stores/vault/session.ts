import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import { discarded, promoted, withPending, withStage } from '../stages.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import { Kv, type Newest } from './kv.ts';
import { documentIn, documentOf, Places, publicForm, sameFields } from './places.ts';
import type { VaultSpec } from './spec.ts';
import {
  type Current,
  currentOf,
  decodeState,
  EMPTY,
  effective,
  encodeState,
  marked,
  type State,
  type VaultVersion,
} from './state.ts';

/** One look at a path: the record, what consumers read, and what that means. */
interface View {
  readonly state: State;
  /** Number of the record's newest version, for check-and-set. */
  readonly cas: number;
  readonly newest: Newest;
  readonly current: Current;
  readonly versions: readonly VaultVersion[];
}

/**
 * A store in Vault's KV engine, version 2. KV knows no stages: what is newest at a path is what consumers read. So
 * versions are kept in a folder of Rotor's, with a record of their stages that changes by check-and-set, and the
 * path itself gets the current one, by check-and-set too, so that nobody's change is lost.
 */
export class VaultSession implements StoreSession {
  readonly #spec: VaultSpec;
  readonly #kv: Kv;
  readonly #places: Places;

  constructor(spec: VaultSpec) {
    this.#spec = spec;
    this.#kv = new Kv(spec);
    this.#places = new Places(spec.versionsPath);
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    for (;;) {
      const view = await this.#look(call, path);
      this.#assertTurn(call, path, view.state);
      await this.#keep(call, path, versionId, document);
      const fresh = { versionId, createdAt: call.clock.now().toISOString(), stages: [], numbers: [] };
      const versions = withPending(view.state.versions, fresh);
      if (await this.#record(call, path, view, { ...view.state, versions })) return;
    }
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    for (let missed: string | undefined; ; ) {
      const view = await this.#look(call, path);
      const found =
        typeof which === 'string'
          ? withStage(view.versions, which)
          : view.versions.find(({ versionId }) => versionId === which.versionId);
      if (!found) return undefined;
      const document = await this.#document(call, path, view, found.versionId);
      if (document) return { versionId: found.versionId, document };
      // Discarded between the two looks: look again. Missing twice is damage, not a race.
      if (missed === found.versionId) throw missingDocument(path, found.versionId);
      missed = found.versionId;
    }
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    for (;;) {
      const view = await this.#look(call, path);
      this.#assertTurn(call, path, view.state);
      const { current, newest, state } = view;
      if (current.is === 'ours' && !current.published) {
        await this.#publish(call, path, view);
        continue;
      }
      const versions = promoted(view.versions, path, versionId, expected);
      if (versions === view.versions) {
        if (await this.#record(call, path, view, state)) return;
        continue;
      }
      // What somebody else wrote is kept, so that it can be gone back to.
      if (current.is === 'foreign' && newest.data) {
        await this.#keep(call, path, current.versionId, documentOf(newest.data));
      }
      const number = newest.number + 1;
      const next: State = {
        fence: state.fence,
        versions,
        live: { versionId, number, published: false },
      };
      // From here on it is decided; the next round, or whoever comes next, carries it out.
      await this.#record(call, path, view, next);
    }
  }

  /** Asks Vault what the token may do, before anything is changed. */
  async check(call: Call, path: string): Promise<StoreReport> {
    const missing = await this.#kv.missing(call, this.#places.needed(path));
    if (missing.length > 0) {
      throw new RotorError('store.permission-denied', {
        what: `the policy of Rotor's token in Vault lacks ${missing.join('; ')}`,
        hint: 'docs/vault.md has the whole policy.',
      });
    }
    const { current, newest } = await this.#look(call, path);
    const deleted = current.is === 'none' && newest.number > 0;
    return { warnings: deleted ? [`Vault: the newest version at ${path} was deleted by hand`] : [] };
  }

  async discard(call: Call, path: string, versionId: string): Promise<void> {
    for (;;) {
      const view = await this.#look(call, path);
      this.#assertTurn(call, path, view.state);
      discarded(view.versions, path, versionId);
      const versions = view.state.versions.map((version) =>
        version.versionId === versionId ? { ...version, stages: [], dropped: true } : version,
      );
      if (!(await this.#record(call, path, view, { ...view.state, versions }))) continue;
      // A document whose way into the record was cut off is in no record.
      await this.#kv.remove(call, this.#places.version(path, versionId));
      return;
    }
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const { versions } = await this.#look(call, path);
    return versions
      .map(({ versionId, stages, createdAt }) => ({ versionId, stages, createdAt: new Date(createdAt) }))
      .reverse();
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  async #look(call: Call, path: string): Promise<View> {
    const record = await this.#kv.newest(call, this.#places.record(path));
    const state = record.data ? decodeState(record.data, this.#places.record(path)) : EMPTY;
    const newest = await this.#kv.newest(call, this.#places.live(path));
    const { live } = state;
    const unsure = live !== undefined && !live.published && live.number === newest.number;
    const same = unsure ? await this.#carries(call, path, newest, live.versionId) : false;
    const seen = { ...newest, gone: newest.data === undefined, same };
    const current = currentOf(state, seen, path);
    const versions = effective(state, current, seen);
    return { state, cas: record.number, newest, current, versions };
  }

  async #carries(call: Call, path: string, { data }: Newest, versionId: string): Promise<boolean> {
    const { data: kept } = await this.#kv.newest(call, this.#places.version(path, versionId));
    return data !== undefined && kept !== undefined && sameFields(publicForm(documentIn(kept)), data);
  }

  /** Lets consumers read what is decided, and puts on record that they do, or that somebody else came first. */
  async #publish(call: Call, path: string, { state, newest, cas }: View): Promise<void> {
    const { live } = state;
    if (!live) return;
    if (newest.number === live.number - 1) {
      const { data } = await this.#kv.newest(call, this.#places.version(path, live.versionId));
      if (!data) throw missingDocument(path, live.versionId);
      // Refused when somebody else wrote: the next look tells whether it was the same.
      if (!(await this.#kv.write(call, this.#places.live(path), newest.number, publicForm(documentIn(data)))))
        return;
    }
    // Only now is the number known to be its own: it is destroyed together with the version.
    const versions = state.versions.map((version) =>
      version.versionId === live.versionId
        ? { ...version, numbers: [...version.numbers, live.number] }
        : version,
    );
    const done: State = { ...state, versions, live: { ...live, published: true } };
    await this.#kv.write(call, this.#places.record(path), cas, encodeState(done));
  }

  /** Writes the record unless somebody was faster (false), and clears away what fell out of it. */
  async #record(call: Call, path: string, view: View, wanted: State): Promise<boolean> {
    const versions = marked(view.state.versions, wanted.versions, this.#spec.keepVersions);
    const next: State = { ...wanted, versions, fence: call.fence };
    const dropped = versions.filter((version) => version.dropped);
    const same = encodeState(next).equals(encodeState(view.state));
    const nothing = view.cas === 0 && versions.length === 0;
    if ((same || nothing) && dropped.length === 0) return true;
    if (!same && !(await this.#kv.write(call, this.#places.record(path), view.cas, encodeState(next)))) {
      return false;
    }
    for (const { versionId, numbers } of dropped) {
      await this.#kv.destroy(call, this.#places.live(path), numbers);
      await this.#kv.remove(call, this.#places.version(path, versionId));
    }
    if (dropped.length === 0) return true;
    const cas = same ? view.cas : view.cas + 1;
    const left = { ...next, versions: versions.filter((version) => !version.dropped) };
    // Somebody faster clears away the rest.
    await this.#kv.write(call, this.#places.record(path), cas, encodeState(left));
    return true;
  }

  /** Keeps a document under its id. @throws RotorError `store.conflict` when another one is there */
  async #keep(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    const place = this.#places.version(path, versionId);
    const wanted = this.#places.kept(document);
    for (;;) {
      const { number, data } = await this.#kv.newest(call, place);
      if (data && documentIn(data).equals(document)) return;
      if (data) {
        throw new RotorError('store.conflict', {
          what: `store path ${path}: version ${versionId} exists with another document`,
        });
      }
      if (await this.#kv.write(call, place, number, wanted)) return;
    }
  }

  async #document(
    call: Call,
    path: string,
    { current, newest }: View,
    versionId: string,
  ): Promise<SecretValue | undefined> {
    const foreign = current.is === 'foreign' && current.versionId === versionId;
    if (foreign) return newest.data && documentOf(newest.data);
    const { data } = await this.#kv.newest(call, this.#places.version(path, versionId));
    return data && documentIn(data);
  }

  #assertTurn(call: Call, path: string, { fence }: State): void {
    if (call.fence >= fence) return;
    throw new RotorError('store.fenced', {
      what: `store path ${path}: fencing token ${call.fence} is older than ${fence}, which wrote already`,
    });
  }
}

function missingDocument(path: string, versionId: string): RotorError {
  return new RotorError('store.unavailable', {
    what: `Vault: the document of version ${versionId} of store path ${path} is missing, though the record names it`,
    hint: "Undelete it in the Store's `versionsPath`, or rotate the credential.",
    kind: 'terminal',
  });
}
