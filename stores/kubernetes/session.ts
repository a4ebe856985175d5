import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, Clusters, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../core/kubernetes/permissions.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Droppable, discarded, marked, promoted, readBeside, withPending } from '../stages.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import { indexRef, versionRef } from './names.ts';
import {
  decodeIndex,
  documentIn,
  encodeIndex,
  fenceOf,
  type Index,
  indexSecret,
  MAX_BYTES,
  versionSecret,
} from './secrets.ts';
import type { KubernetesSpec } from './spec.ts';

/** One look at a path. */
interface View {
  readonly index: Index;
  /** Of the Secret that holds the index; undefined when there is none yet. */
  readonly resourceVersion: string | undefined;
  /** Those that aren't on their way out. */
  readonly versions: readonly Droppable[];
}

/**
 * A store in one namespace of a cluster. The document of each version is an immutable Secret of its own; which of them has
 * which stage says one more Secret per path, and each change of it is bound to the state that was looked at, so that of two
 * workers one wins.
 */
export class KubernetesSession implements StoreSession {
  readonly #spec: KubernetesSpec;
  readonly #clusters: Clusters;

  constructor(spec: KubernetesSpec, clusters: Clusters) {
    this.#spec = spec;
    this.#clusters = clusters;
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    if (document.size > MAX_BYTES)
      throw new RotorError('store.too-large', {
        what: `store path ${path}: a document of ${document.size} bytes; a Secret takes ${MAX_BYTES}`,
      });
    for (;;) {
      const view = await this.#turn(call, path);
      const createdAt = call.clock.now().toISOString();
      const known = view.versions.find((version) => version.versionId === versionId);
      // Announced as if it were on its way out: whatever becomes of us, the next writer removes what we have begun.
      const announced = known
        ? view
        : await this.#announce(call, path, view, { versionId, createdAt, stages: [] });
      if (!announced) continue;
      await this.#keep(call, path, versionId, document);
      const versions = withPending(view.versions, { versionId, createdAt, stages: [] });
      if (await this.#record(call, path, { ...announced, versions: view.versions }, versions)) return;
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
      ({ versionId }) => this.#document(call, path, versionId),
      (versionId) => this.#missing(path, versionId),
    );
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    for (;;) {
      const view = await this.#turn(call, path);
      const versions = promoted(view.versions, path, versionId, expected);
      // Somebody with kubectl may have deleted it: then nobody is led there.
      if (versions !== view.versions && !(await this.#document(call, path, versionId)))
        throw this.#missing(path, versionId);
      if (await this.#record(call, path, view, versions)) return;
    }
  }

  async discard(call: Call, path: string, versionId: string): Promise<void> {
    for (;;) {
      const view = await this.#turn(call, path);
      if (!(await this.#record(call, path, view, discarded(view.versions, path, versionId)))) continue;
      // A worker that slept may have made it after its turn was over.
      const known = view.versions.some((version) => version.versionId === versionId);
      if (!known) await this.#delete(call, path, versionId);
      return;
    }
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const { versions } = await this.#look(call, path);
    return versions
      .map(({ versionId, stages, createdAt }) => ({ versionId, stages, createdAt: new Date(createdAt) }))
      .reverse();
  }

  /** Asks what we may, and lets the API server rehearse a version, before anything is changed. */
  async check(call: Call, path: string): Promise<StoreReport> {
    const { namespace, encryptedAtRest } = this.#spec;
    const cluster = await this.#cluster();
    const ref = versionRef(namespace, path, 'rehearsal');
    // By no name: those of versions are as many as there will be rotations.
    for (const verb of ['get', 'create', 'patch', 'delete'] as const)
      await assertAllowed(call, cluster, verb, { ...ref, name: '' });
    await this.#look(call, path);
    const rehearsal = versionSecret(ref, path, 'rehearsal', SecretValue.of('{}'), call.fence);
    await cluster.create(call, rehearsal, 'dry-run');
    return {
      warnings: encryptedAtRest
        ? []
        : [
            `cluster ${cluster.name} keeps Secrets as plain text in etcd and its backups, unless its API server encrypts them (EncryptionConfiguration); say \`encryptedAtRest: true\` in the Store if it does`,
          ],
    };
  }

  /** Connections are the process's, not the session's. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  async #look(call: Call, path: string): Promise<View> {
    const cluster = await this.#cluster();
    const found = await cluster.read(call, indexRef(this.#spec.namespace, path));
    const index: Index = found ? decodeIndex(found, path) : { fence: 0n, versions: [] };
    const versions = index.versions.filter(({ dropped }) => !dropped);
    return { index, resourceVersion: found?.metadata?.resourceVersion, versions };
  }

  /** For who is about to write: it is their turn, and nothing is left of what a killed worker was removing. */
  async #turn(call: Call, path: string): Promise<View> {
    for (;;) {
      const view = await this.#look(call, path);
      if (call.fence < view.index.fence) throw fenced(path, call.fence, view.index.fence);
      if (view.versions.length === view.index.versions.length) return view;
      await this.#clear(call, path, view);
    }
  }

  #announce(call: Call, path: string, view: View, version: Droppable): Promise<View | undefined> {
    return this.#write(call, path, view, [...view.versions, { ...version, dropped: true }]);
  }

  /** Writes the index unless somebody was faster (false), and deletes what fell out of it. */
  async #record(call: Call, path: string, view: View, wanted: readonly Droppable[]): Promise<boolean> {
    const versions = marked(view.versions, wanted, this.#spec.keepVersions);
    const written = await this.#write(call, path, view, versions);
    if (!written) return false;
    const gone = versions.some(({ dropped }) => dropped);
    if (gone) await this.#clear(call, path, written);
    return true;
  }

  /** Deletes the documents that are on their way out, then takes them off the index. Who is faster does the rest. */
  async #clear(call: Call, path: string, view: View): Promise<void> {
    for (const { versionId, dropped } of view.index.versions)
      if (dropped) await this.#delete(call, path, versionId);
    await this.#write(call, path, view, view.versions);
  }

  /** @returns the state that is there now; undefined when it wasn't the one that was looked at any more */
  async #write(
    call: Call,
    path: string,
    { index: before, resourceVersion }: View,
    all: readonly Droppable[],
  ): Promise<View | undefined> {
    const index: Index = { fence: call.fence, versions: all };
    const versions = all.filter(({ dropped }) => !dropped);
    const nothing = resourceVersion === undefined && all.length === 0;
    if (nothing || encodeIndex(index) === encodeIndex(before)) return { index, resourceVersion, versions };
    const cluster = await this.#cluster();
    const ref = indexRef(this.#spec.namespace, path);
    try {
      const { metadata } =
        resourceVersion === undefined
          ? await cluster.create(call, indexSecret(ref, path, index))
          : await cluster.mergePatch(call, ref, {
              metadata: { resourceVersion },
              data: { index: encodeIndex(index) },
            });
      return { index, resourceVersion: metadata?.resourceVersion, versions };
    } catch (error) {
      if (has(error, 'cluster.conflict')) return undefined;
      // Deleted by hand in between: the next look sees it, and what is left to do there.
      if (resourceVersion !== undefined && has(error, 'cluster.not-found')) return undefined;
      throw error;
    }
  }

  /** Keeps a document under its id. @throws RotorError `store.conflict` when another one is there */
  async #keep(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    const ref = this.#version(path, versionId);
    const cluster = await this.#cluster();
    for (;;) {
      const known = await this.#document(call, path, versionId);
      if (known?.equals(document)) return;
      if (known)
        throw new RotorError('store.conflict', {
          what: `store path ${path}: version ${versionId} exists with another document`,
        });
      try {
        await cluster.create(call, versionSecret(ref, path, versionId, document, call.fence));
        return;
      } catch (error) {
        if (!has(error, 'cluster.conflict')) throw error;
      }
    }
  }

  async #document(call: Call, path: string, versionId: string): Promise<SecretValue | undefined> {
    const found = await (await this.#cluster()).read(call, this.#version(path, versionId));
    return found && documentIn(found, path, versionId);
  }

  /** Deletes the very Secret that was looked at, unless a later worker has made it meanwhile. */
  async #delete(call: Call, path: string, versionId: string): Promise<void> {
    const ref = this.#version(path, versionId);
    const cluster = await this.#cluster();
    const found = await cluster.read(call, ref);
    if (!found) return;
    documentIn(found, path, versionId).destroy();
    if (fenceOf(found) > call.fence) throw fenced(path, call.fence, fenceOf(found));
    const { uid = '', resourceVersion = '' } = found.metadata ?? {};
    await cluster.remove(call, ref, { uid, resourceVersion });
  }

  #version(path: string, versionId: string): ObjectRef {
    return versionRef(this.#spec.namespace, path, versionId);
  }

  #cluster(): Promise<Cluster> {
    return this.#clusters.open(this.#spec.context);
  }

  #missing(path: string, versionId: string): RotorError {
    const { namespace, name } = this.#version(path, versionId);
    return new RotorError('store.unavailable', {
      what: `store path ${path}: secret ${namespace}/${name}, which holds version ${versionId}, is gone`,
      hint: 'Bring it back from a backup, or rotate the credential.',
      kind: 'terminal',
    });
  }
}

function fenced(path: string, ours: bigint, theirs: bigint): RotorError {
  return new RotorError('store.fenced', {
    what: `store path ${path}: fencing token ${ours} is older than ${theirs}, which wrote already`,
  });
}

function has(error: unknown, code: RotorError['code']): boolean {
  return error instanceof RotorError && error.code === code;
}
