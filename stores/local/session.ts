import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { syncFolder, writeNewFile } from '../../core/durable-file.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { open, seal } from '../../core/seal.ts';
import type { Keyring } from '../../core/seal-keyring.ts';
import type { SecretValue } from '../../core/secret.ts';
import { discarded, promoted, pruned, versionAt, withPending } from '../stages.ts';
import type { Stage, StoredVersion, StoreSession } from '../store.ts';
import { onDisk } from './disk-errors.ts';
import { cleanUp, commit, makeFolder, readNewest } from './index-files.ts';
import type { Index, IndexedVersion, Versions } from './index-format.ts';
import { assertVersionId, folderOf } from './names.ts';
import type { LocalSpec } from './spec.ts';

/**
 * A store in a folder: sealed documents, one file each, and an index of stages that is replaced as a whole.
 * Processes on one machine (or on a file system with atomic `link`) may share it without locks.
 */
export class LocalSession implements StoreSession {
  readonly #spec: LocalSpec;
  readonly #keyring: Keyring;
  readonly #macKey: SecretValue;
  readonly #working = new Set<Promise<unknown>>();
  #closed = false;

  constructor(spec: LocalSpec, keyring: Keyring) {
    this.#spec = spec;
    this.#keyring = keyring;
    this.#macKey = keyring.derive('local-store-index');
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    assertVersionId(versionId);
    const folder = folderOf(this.#spec.path, path);
    await this.#during(folder, async () => {
      call.deadline.assertTime(`stage ${path}`);
      await makeFolder(folder);
      const context = sealContext(path, versionId);
      // A name of its own for each try: two tries with different documents never write the same file,
      // and the index alone decides which one counts.
      const file = `${versionId}.${call.random.uuid().replaceAll('-', '').slice(0, 12)}.sealed`;
      await writeNewFile(join(folder, file), Buffer.from(seal(this.#keyring, document, context)), {
        mode: 0o600,
      });
      try {
        const fresh: IndexedVersion = {
          versionId,
          file,
          createdAt: call.clock.now().toISOString(),
          stages: [],
        };
        await this.#change(call, folder, path, async (versions) => {
          await this.#assertSame(folder, path, versions, versionId, document);
          return withPending(versions, fresh);
        });
      } finally {
        await this.#removeUnlessNamed(folder, path, file);
      }
    });
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    const folder = folderOf(this.#spec.path, path);
    return this.#during(folder, async () => {
      for (let missed: string | undefined; ; ) {
        call.deadline.assertTime(`read ${path}`);
        const { versions } = await readNewest(folder, path, this.#macKey);
        const found = versionAt(versions, which);
        if (!found) return undefined;
        const document = await this.#document(folder, path, found);
        if (document) return { versionId: found.versionId, document };
        // Discarded between the two looks: look again. Missing twice is damage, not a race.
        if (missed === found.file) throw missingFile(join(folder, found.file));
        missed = found.file;
      }
    });
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    const folder = folderOf(this.#spec.path, path);
    await this.#during(folder, async () => {
      await this.#change(call, folder, path, (versions) => promoted(versions, path, versionId, expected));
    });
  }

  async discard(call: Call, path: string, versionId: string): Promise<void> {
    const folder = folderOf(this.#spec.path, path);
    await this.#during(folder, async () => {
      await this.#change(call, folder, path, (versions) => discarded(versions, path, versionId));
    });
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const folder = folderOf(this.#spec.path, path);
    return this.#during(folder, async () => {
      call.deadline.assertTime(`list ${path}`);
      const { versions } = await readNewest(folder, path, this.#macKey);
      return versions
        .map(({ versionId, stages, createdAt }) => ({ versionId, stages, createdAt: new Date(createdAt) }))
        .reverse();
    });
  }

  /** What is under way ends first: an index that is hashed with an overwritten key could never be read again. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#working);
    this.#macKey.destroy();
  }

  /** @throws RotorError `store.unavailable` after {@link close}, to a step that was given up and goes on all the same */
  async #during<T>(folder: string, work: () => Promise<T>): Promise<T> {
    if (this.#closed)
      throw new RotorError('store.unavailable', {
        what: `local store: ${folder} was left by the worker that was given up`,
        hint: 'Nothing to do: the rotation is taken up again.',
      });
    const working = onDisk(folder, work);
    this.#working.add(working);
    try {
      return await working;
    } finally {
      this.#working.delete(working);
    }
  }

  /** Reads, decides, compares and sets, until nobody was faster. Every round somebody succeeds, so it ends. */
  async #change(
    call: Call,
    folder: string,
    path: string,
    decide: (versions: Versions) => Versions | Promise<Versions>,
  ): Promise<Index> {
    for (;;) {
      call.deadline.assertTime(`change ${path}`);
      const index = await readNewest(folder, path, this.#macKey);
      if (call.fence < index.fence) {
        throw new RotorError('store.fenced', {
          what: `store path ${path}: fencing token ${call.fence} is older than ${index.fence}, which wrote already`,
        });
      }
      const versions = pruned(await decide(index.versions), this.#spec.keepVersions);
      const same = JSON.stringify(versions) === JSON.stringify(index.versions);
      if (same && (call.fence === index.fence || index.generation === 0)) {
        // An earlier try may have been killed after it linked this state and before it was durable.
        if (index.generation > 0) await syncFolder(folder);
        return index;
      }
      const next: Index = { path, generation: index.generation + 1, fence: call.fence, versions };
      if (!(await commit(call, folder, next, this.#macKey))) continue;
      await this.#afterwards(call, folder, index, next);
      return next;
    }
  }

  /** The change is done and durable: what can fail now must not make it look undone. */
  async #afterwards(call: Call, folder: string, before: Index, after: Index): Promise<void> {
    try {
      const kept = new Set(after.versions.map(({ file }) => file));
      for (const { file } of before.versions)
        if (!kept.has(file)) await rm(join(folder, file), { force: true });
      await cleanUp(call, folder, after);
    } catch (error) {
      call.log.warn(
        { err: error, store: 'local', folder },
        'old files of the store remain; the next write retries',
      );
    }
  }

  /** Asks the index rather than the outcome: after a failure the file may be in use all the same. */
  async #removeUnlessNamed(folder: string, path: string, file: string): Promise<void> {
    try {
      const { versions } = await readNewest(folder, path, this.#macKey);
      if (!versions.some((version) => version.file === file)) await rm(join(folder, file), { force: true });
    } catch {
      // Left for the sweep of a later write; the outcome of the write itself is what the caller must hear of.
    }
  }

  async #assertSame(
    folder: string,
    path: string,
    versions: Versions,
    versionId: string,
    document: SecretValue,
  ): Promise<void> {
    const known = versions.find((version) => version.versionId === versionId);
    if (!known) return;
    const stored = await this.#document(folder, path, known);
    if (stored?.equals(document)) return;
    throw new RotorError('store.conflict', {
      what: `store path ${path}: version ${versionId} exists with another document`,
    });
  }

  /** undefined when the file is gone. */
  async #document(folder: string, path: string, version: IndexedVersion): Promise<SecretValue | undefined> {
    try {
      const sealed = await readFile(join(folder, version.file), 'utf8');
      return open(this.#keyring, sealed, sealContext(path, version.versionId));
    } catch (error) {
      if (foreignCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function sealContext(path: string, versionId: string): readonly string[] {
  return ['store.local', path, versionId];
}

function missingFile(file: string): RotorError {
  return new RotorError('store.unavailable', {
    what: `local store: ${file} is missing, though the index names it`,
    hint: 'Restore the file from a backup, or rotate the credential.',
    kind: 'terminal',
  });
}
