import type { SecretClient } from '@azure/keyvault-secrets';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { versionIdOf } from '../foreign-ids.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import { KeyVaultCalls, type Latest } from './calls.ts';
import { Names } from './names.ts';
import { noRoomForTags, notThere, tooLong } from './refusals.ts';
import { type KeyVaultSpec, MAX_BYTES } from './spec.ts';
import {
  type Live,
  liveTags,
  MAX_TAGS,
  type Noted,
  nextExpiry,
  noted,
  recordTags,
  settled,
  TAG,
  tidied,
  withoutTag,
} from './tags.ts';
import { endTurn, inTurn } from './turn.ts';

/** One look at a path. */
interface View {
  readonly names: Names;
  /** The newest version of the secret that consumers read. */
  readonly latest: Latest | undefined;
  readonly live: Live | undefined;
  readonly record: Latest | undefined;
  readonly noted: Noted;
  readonly pending: string | undefined;
}

/**
 * Secrets of one vault. What is newest in a secret is what consumers read, and a newest version that is disabled is
 * refused to them: so a pending document waits in a secret of its own, and becomes a version of the secret that
 * consumers read when it is published. That one write carries the document, its id and the id of the one before.
 */
export class KeyVaultSession implements StoreSession {
  readonly #spec: KeyVaultSpec;
  readonly #vault: KeyVaultCalls;

  constructor(spec: KeyVaultSpec, client: () => Promise<SecretClient>) {
    this.#spec = spec;
    this.#vault = new KeyVaultCalls(client);
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    const { live: name } = this.#names(path);
    if (document.size > MAX_BYTES) throw tooLong(name, document.size);
    const view = await this.#look(call, path);
    const { live, latest } = view;
    if (!latest && !this.#spec.create) throw notThere(name);
    const isStaged = [live?.versionId, live?.previous, view.pending].includes(versionId);
    // A late repeat changes nothing: the stage only ever moves forward from here.
    if (!isStaged) {
      // What somebody else wrote is kept, so that it can be gone back to.
      const foreign = latest && live && !live.ours ? [live.versionId] : [];
      if (latest && foreign[0])
        await this.#keep(call, view.names, foreign[0], latest.value, latest.createdAt);
      const staged = [live?.versionId, live?.previous, versionId];
      const { known, dropped } = tidied(view.noted.known, [...foreign, versionId], staged);
      for (const old of dropped) await this.#destroy(call, view, old);
      await this.#note(call, view, { pending: view.pending, next: versionId, known });
    }
    await this.#keep(call, view.names, versionId, document, call.clock.now());
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    const view = await this.#look(call, path);
    const { live, latest, pending } = view;
    const ids = { current: live?.versionId, previous: live?.previous, pending };
    const versionId = typeof which === 'string' ? ids[which] : which.versionId;
    if (versionId === undefined) return undefined;
    if (latest && versionId === live?.versionId) return { versionId, document: latest.value };
    const kept = await this.#vault.latest(call, view.names.kept(versionId));
    return kept && { versionId, document: kept.value };
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    const view = await this.#look(call, path);
    const { names, latest, live } = view;
    if (live?.versionId === versionId) return this.#published(call, names, versionId);
    const kept = await this.#vault.latest(call, names.kept(versionId));
    if (!kept)
      throw new RotorError('store.not-found', { what: `store path ${path} has no version ${versionId}` });
    if (live?.versionId !== expected) throw movedOn(path, live?.versionId, expected);
    if (!latest && !this.#spec.create) throw notThere(names.live);
    const tags = liveTags(latest?.tags ?? {}, versionId, live?.versionId);
    if (Object.keys(tags).length > MAX_TAGS) throw noRoomForTags(names.live);
    if (latest && live && !live.ours)
      await this.#keep(call, names, live.versionId, latest.value, latest.createdAt);
    const turn = names.turn(latest?.version);
    await inTurn(call, this.#vault, turn, versionId, async () => {
      const now = await this.#vault.latest(call, names.live);
      if (now?.tags[TAG.version] === versionId && now.version !== latest?.version) return;
      if (now?.version !== latest?.version) throw movedOn(path, now && idOf(names, now), expected);
      await this.#vault.add(
        call,
        names.live,
        kept.value,
        {
          tags,
          contentType: latest?.contentType,
          expiresAt: nextExpiry(call.clock.now(), latest),
        },
        async () => {
          const after = await this.#vault.latest(call, names.live);
          if (after?.version === latest?.version) return false;
          if (after?.tags[TAG.version] === versionId) return true;
          throw movedOn(path, after && idOf(names, after), versionId);
        },
      );
    });
    // A path that was empty may be so once more, and a name that is deleted can't be used for a while.
    await endTurn(call, this.#vault, turn, { versionId, nameIsNeeded: latest === undefined });
    await this.#published(call, names, versionId);
  }

  async discard(call: Call, path: string, versionId: string): Promise<void> {
    const view = await this.#look(call, path);
    const { names, live, latest } = view;
    if (live?.versionId === versionId) {
      throw new RotorError('store.conflict', {
        what: `store path ${path}: version ${versionId} is current and can't be discarded`,
      });
    }
    const record = settled(view.noted, versionId);
    if (record !== view.noted) await this.#note(call, view, record);
    // The tags of this one version: if another one is published meanwhile, nothing of it is touched.
    if (latest && live?.previous === versionId)
      await this.#vault.update(call, names.live, latest.version, {
        tags: withoutTag(latest.tags, TAG.previous),
      });
    await this.#destroy(call, view, versionId);
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const { names, live, latest, pending } = await this.#look(call, path);
    const staged: readonly [string | undefined, Stage][] = [
      [live?.versionId, 'current'],
      [live?.previous, 'previous'],
      [pending, 'pending'],
    ];
    const found: StoredVersion[] = [];
    for (const [versionId, stage] of staged) {
      if (versionId === undefined) continue;
      const kept = await this.#vault.latest(call, names.kept(versionId));
      const since = kept ? new Date(kept.tags[TAG.created] ?? kept.createdAt) : undefined;
      const createdAt = since ?? (stage === 'current' ? latest?.createdAt : undefined);
      if (createdAt) found.push({ versionId, stages: [stage], createdAt });
    }
    return found.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const { names, latest, live, pending } = await this.#look(call, path);
    const { live: name } = names;
    if (!latest) {
      if (!this.#spec.create) throw notThere(name);
      return { warnings: [`secret ${name} doesn't exist yet: Rotor makes it`] };
    }
    if (Object.keys(liveTags(latest.tags, 'x', 'y')).length > MAX_TAGS) throw noRoomForTags(name);
    // Asked now, since a version that is dead can't be disabled without it.
    await this.#vault.versions(call, name);
    const warnings: string[] = [];
    if (live && !live.ours)
      warnings.push(
        `secret ${name}: version ${latest.version} was not made by Rotor and is taken over as current`,
      );
    if (pending)
      warnings.push(`secret ${name}: version ${pending} is pending; the next rotation takes its place`);
    return { warnings };
  }

  /** The client is the process's, not the session's: others use its connections and credentials. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  async #look(call: Call, path: string): Promise<View> {
    const names = this.#names(path);
    const latest = await this.#vault.latest(call, names.live);
    const record = await this.#vault.latest(call, names.record);
    const live = latest && (await this.#live(call, names, latest));
    const notes = noted(record?.tags);
    const arrived = notes.next && (await this.#vault.latest(call, names.kept(notes.next)));
    const pending = arrived ? notes.next : notes.pending;
    const isStaged = pending === live?.versionId || pending === live?.previous;
    return { names, latest, live, record, noted: notes, pending: isStaged ? undefined : pending };
  }

  /** Tags can be copied to another value by hand; they count only beside the document that they were written with. */
  async #live(call: Call, names: Names, latest: Latest): Promise<Live> {
    const tagged = latest.tags[TAG.version];
    const kept = tagged && (await this.#vault.latest(call, names.kept(tagged)));
    if (tagged && (!kept || kept.value.equals(latest.value)))
      return { versionId: tagged, previous: latest.tags[TAG.previous], ours: true };
    return { versionId: versionIdOf(names.live, latest.version), previous: undefined, ours: false };
  }

  /** Keeps a document under its id. @throws RotorError `store.conflict` when another one is there */
  async #keep(
    call: Call,
    names: Names,
    versionId: string,
    document: SecretValue,
    since: Date,
  ): Promise<void> {
    const name = names.kept(versionId);
    const same = async () => {
      const kept = await this.#vault.latest(call, name);
      if (kept && !kept.value.equals(document)) {
        throw new RotorError('store.conflict', {
          what: `secret ${names.live}: version ${versionId} exists with another document`,
        });
      }
      return kept !== undefined;
    };
    if (await same()) return;
    const tags = { [TAG.version]: versionId, [TAG.created]: since.toISOString() };
    await this.#vault.add(call, name, document, { tags }, same);
  }

  /** What is published waits no longer, even when it is no stage's any more. */
  async #published(call: Call, names: Names, versionId: string): Promise<void> {
    const record = await this.#vault.latest(call, names.record);
    const before = noted(record?.tags);
    const after = settled(before, versionId);
    if (!record || after === before) return;
    await this.#vault.update(call, names.record, record.version, { tags: recordTags(after) });
  }

  async #note(call: Call, { names, record }: View, wanted: Noted): Promise<void> {
    const tags = recordTags(wanted);
    if (record) return this.#vault.update(call, names.record, record.version, { tags });
    const isDone = async () => (await this.#vault.latest(call, names.record)) !== undefined;
    const value = SecretValue.of('stages of Rotor, in the tags');
    await this.#vault.add(call, names.record, value, { tags }, isDone);
  }

  /** Disables what was published of a version, since Key Vault deletes whole secrets only, and deletes its document. */
  async #destroy(call: Call, { names, latest, live }: View, versionId: string): Promise<void> {
    if (latest) {
      for (const each of await this.#vault.versions(call, names.live)) {
        const its =
          each.tags[TAG.version] === versionId || versionIdOf(names.live, each.version) === versionId;
        if (its && each.enabled && each.version !== latest.version && live?.versionId !== versionId)
          await this.#vault.update(call, names.live, each.version, { enabled: false });
      }
    }
    await this.#vault.remove(call, names.kept(versionId));
  }

  #names(path: string): Names {
    return new Names(this.#spec.prefix, path);
  }
}

function idOf(names: Names, { tags, version }: Latest): string {
  return tags[TAG.version] ?? versionIdOf(names.live, version);
}

function movedOn(path: string, current: string | undefined, expected: string | undefined): RotorError {
  return new RotorError('store.conflict', {
    what: `store path ${path}: current is ${current ?? 'no version'}, expected ${expected ?? 'none'}`,
  });
}
