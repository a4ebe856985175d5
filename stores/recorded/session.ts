import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import { discarded, marked, promoted, readBeside, withPending } from '../stages.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import type { Kept, Newest, Shelf } from './shelf.ts';
import {
  type Current,
  currentOf,
  decodeState,
  EMPTY,
  effective,
  encodeState,
  followed,
  type RecordedVersion,
  type State,
} from './state.ts';

/** One look at a path: the record, what consumers read, and what that means. */
interface View {
  readonly state: State;
  readonly record: Kept;
  readonly newest: Newest;
  readonly current: Current;
  readonly versions: readonly RecordedVersion[];
}

/**
 * A store that knows no stages: what is newest at a path is what consumers read. So documents are kept apart, with a
 * record of their stages that is only ever replaced as it was last seen, and the path itself gets the current one when
 * that is decided and on record.
 */
export class RecordedSession implements StoreSession {
  readonly #shelf: Shelf;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    await this.#shelf.prepare?.(call, path, document);
    for (let kept: { readonly number: number | undefined } | undefined; ; ) {
      const view = await this.#look(call, path);
      this.#assertTurn(call, path, view.state);
      const { versions: recorded } = view.state;
      const known = recorded.find((version) => version.versionId === versionId && !version.dropped);
      if (known) await this.#assertSame(call, path, known, document);
      else kept ??= { number: await this.#shelf.keep(call, path, versionId, document, recorded) };
      const fresh: RecordedVersion = {
        versionId,
        createdAt: call.clock.now().toISOString(),
        stages: [],
        numbers: [],
        ...(kept?.number === undefined ? {} : { kept: kept.number }),
      };
      const versions = withPending(view.state.versions, fresh);
      if (await this.#record(call, path, view, { ...view.state, versions })) return;
    }
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    return readBeside(
      which,
      () => this.#look(call, path),
      (found, view) => this.#document(call, path, view, found),
      (versionId) => this.#missing(path, versionId),
    );
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
      let versions = promoted(view.versions, path, versionId, expected);
      if (versions === view.versions) {
        if (await this.#record(call, path, view, state)) return;
        continue;
      }
      // What somebody else wrote is kept, so that it can be gone back to.
      if (current.is === 'foreign' && newest.document) {
        const { versionId: foreign } = current;
        const kept = await this.#shelf.keep(call, path, foreign, newest.document, state.versions);
        if (kept !== undefined)
          versions = versions.map((each) => (each.versionId === foreign ? { ...each, kept } : each));
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

  /** Asks what the workers may do, before anything is changed. */
  async check(call: Call, path: string): Promise<StoreReport> {
    const { warnings } = await this.#shelf.check(call, path);
    const { current, newest } = await this.#look(call, path);
    const gone = current.is === 'none' && newest.number > 0;
    const deleted = `${this.#shelf.product}: the newest version at ${path} was deleted or disabled by hand`;
    return { warnings: gone ? [...warnings, deleted] : warnings };
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
      const unknown = !view.state.versions.some((version) => version.versionId === versionId);
      if (unknown)
        await this.#shelf.forget(call, path, { versionId, createdAt: '', stages: [], numbers: [] });
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
    return this.#shelf.close();
  }

  async #look(call: Call, path: string): Promise<View> {
    const { format, product } = this.#shelf;
    const record = await this.#shelf.record(call, path);
    const known = record.data ? decodeState(record.data, format, product, path) : EMPTY;
    const newest = await this.#shelf.newest(call, path);
    const { live } = known;
    const unsure =
      live && (newest.number > live.number || (newest.number === live.number && !live.published));
    const same = unsure ? await this.#carries(call, path, newest, known, live.versionId) : false;
    const seen = { ...newest, gone: newest.document === undefined, same };
    const state = followed(known, seen);
    const current = currentOf(state, seen, path);
    const versions = effective(state, current, seen);
    return { state, record, newest, current, versions };
  }

  async #carries(
    call: Call,
    path: string,
    { document }: Newest,
    state: State,
    versionId: string,
  ): Promise<boolean> {
    const kept = await this.#keptOf(call, path, state, versionId);
    return document !== undefined && kept !== undefined && this.#shelf.same(kept, document);
  }

  /** Lets consumers read what is decided, and puts on record that they do, or that somebody else came first. */
  async #publish(call: Call, path: string, { state, newest, record }: View): Promise<void> {
    const { live } = state;
    if (!live) return;
    let number: number | undefined = live.number;
    if (newest.number === live.number - 1) {
      const document = await this.#keptOf(call, path, state, live.versionId);
      if (!document) throw this.#missing(path, live.versionId);
      // Refused when somebody else wrote: the next look tells whether it was the same.
      number = await this.#shelf.publish(call, path, newest.number, document);
      if (number === undefined) return;
    }
    await this.#shelf.settle?.(call, path, number);
    const published = number;
    // Only now is the number known to be its own: it is destroyed together with the version.
    const versions = state.versions.map((version) =>
      version.versionId === live.versionId
        ? { ...version, numbers: [...version.numbers, published] }
        : version,
    );
    const done: State = { ...state, versions, live: { ...live, number, published: true } };
    await this.#shelf.writeRecord(call, path, record.token, encodeState(done, this.#shelf.format));
  }

  /** Writes the record unless somebody was faster (false), and clears away what fell out of it. */
  async #record(call: Call, path: string, view: View, wanted: State): Promise<boolean> {
    const { format, keepVersions } = this.#shelf;
    const versions = marked(view.state.versions, wanted.versions, keepVersions);
    const next: State = { ...wanted, versions, fence: call.fence };
    const dropped = versions.filter((version) => version.dropped);
    const { token: before, data } = view.record;
    const same = encodeState(next, format).equals(encodeState(view.state, format));
    const nothing = data === undefined && versions.length === 0;
    if ((same || nothing) && dropped.length === 0) return true;
    const token = same
      ? before
      : await this.#shelf.writeRecord(call, path, before, encodeState(next, format));
    if (token === undefined) return false;
    for (const version of dropped) await this.#shelf.forget(call, path, version);
    if (dropped.length === 0) return true;
    const left = { ...next, versions: versions.filter((version) => !version.dropped) };
    // Somebody faster clears away the rest.
    await this.#shelf.writeRecord(call, path, token, encodeState(left, format));
    return true;
  }

  async #assertSame(
    call: Call,
    path: string,
    version: RecordedVersion,
    document: SecretValue,
  ): Promise<void> {
    const kept = await this.#shelf.kept(call, path, version);
    if (kept?.equals(document)) return;
    throw new RotorError('store.conflict', {
      what: `store path ${path}: version ${version.versionId} exists with another document`,
    });
  }

  async #document(
    call: Call,
    path: string,
    { state, current, newest }: View,
    { versionId }: RecordedVersion,
  ): Promise<SecretValue | undefined> {
    const foreign = current.is === 'foreign' && current.versionId === versionId;
    return foreign ? newest.document : this.#keptOf(call, path, state, versionId);
  }

  async #keptOf(
    call: Call,
    path: string,
    { versions }: State,
    versionId: string,
  ): Promise<SecretValue | undefined> {
    const version = versions.find((each) => each.versionId === versionId);
    return version && this.#shelf.kept(call, path, version);
  }

  #assertTurn(call: Call, path: string, { fence }: State): void {
    if (call.fence >= fence) return;
    throw new RotorError('store.fenced', {
      what: `store path ${path}: fencing token ${call.fence} is older than ${fence}, which wrote already`,
    });
  }

  #missing(path: string, versionId: string): RotorError {
    return new RotorError('store.unavailable', {
      what: `${this.#shelf.product}: the document of version ${versionId} of store path ${path} is missing, though the record names it`,
      hint: 'Bring it back if the store can still do so, or rotate the credential.',
      kind: 'terminal',
    });
  }
}
