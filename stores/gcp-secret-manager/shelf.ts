import type { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Kept, Newest, Shelf } from '../recorded/shelf.ts';
import type { RecordedVersion } from '../recorded/state.ts';
import type { StoreReport } from '../store.ts';
import { type Secret, SecretManagerCalls } from './calls.ts';
import { lacking } from './errors.ts';
import { Names } from './names.ts';
import { MAX_BYTES, type SecretManagerSpec } from './spec.ts';

/** Annotation of Rotor's secret that holds the record. Annotations may have 16 KiB together. */
const RECORD = 'rotor-stages';
/** A document that is in no record after so long was left by a worker that died, in milliseconds. */
const ORPHAN_MS = 600_000;

const READS = ['secretmanager.versions.get', 'secretmanager.versions.access'];
const WRITES = [
  'secretmanager.secrets.get',
  'secretmanager.versions.add',
  'secretmanager.versions.disable',
  'secretmanager.versions.destroy',
];

/**
 * Secrets of Google Cloud Secret Manager. Documents wait as versions of a secret beside the one that consumers read,
 * with the record in an annotation there, which changes by etag alone; what is published becomes a version of the
 * secret itself, `latest` from that moment.
 */
export class SecretManagerShelf implements Shelf {
  readonly product = 'Secret Manager';
  readonly format = 'rotor.store.gcp/1';
  readonly keepVersions: number;
  readonly #spec: SecretManagerSpec;
  readonly #google: SecretManagerCalls;
  readonly #seen = new Map<string, Secret | undefined>();

  constructor(spec: SecretManagerSpec, client: () => Promise<SecretManagerServiceClient>) {
    this.keepVersions = spec.keepVersions;
    this.#spec = spec;
    this.#google = new SecretManagerCalls(client);
  }

  async prepare(call: Call, path: string, document: SecretValue): Promise<void> {
    const names = this.#names(path);
    if (document.size > MAX_BYTES) {
      throw new RotorError('store.too-large', {
        what: `secret ${names.id}: a document of ${document.size} bytes; Secret Manager takes ${MAX_BYTES}`,
      });
    }
    const live = await this.#google.secret(call, names.live);
    if (!live && !this.#spec.create) throw notThere(names);
    if (await this.#google.secret(call, names.ours)) return;
    await this.#google.create(call, names.parent, names.oursId, likeness(live, this.#spec));
  }

  /** Google tells what the workers may do without any permission. */
  async check(call: Call, path: string): Promise<StoreReport> {
    const names = this.#names(path);
    const warnings: string[] = [];
    const places = [
      {
        name: names.live,
        needed: [...READS, ...WRITES, ...(this.#spec.alias ? ['secretmanager.secrets.update'] : [])],
      },
      {
        name: names.ours,
        needed: [...READS, ...WRITES, 'secretmanager.secrets.update', 'secretmanager.versions.list'],
      },
    ];
    for (const { name, needed } of places) {
      const missing = await this.#google.lacking(call, name, needed);
      if (missing.length === 0) continue;
      // For a secret that isn't there the answer is empty too.
      if (missing.length < needed.length || (await this.#google.secret(call, name)))
        throw lacking(missing, name);
      if (name === names.live && !this.#spec.create) throw notThere(names);
      warnings.push(`secret ${name} doesn't exist yet: Rotor makes it, with secretmanager.secrets.create`);
    }
    const live = await this.#google.secret(call, names.live);
    if (live?.rotation?.nextRotationTime)
      warnings.push(
        `secret ${names.id} has a rotation schedule of its own: who listens to its topic must not rotate it too`,
      );
    const { alias } = this.#spec;
    if (live && alias && !live.versionAliases?.[alias])
      warnings.push(
        `secret ${names.id} has no alias "${alias}" yet: it appears with the first version that Rotor publishes`,
      );
    return { warnings };
  }

  /** The client is the process's, not the session's: others use its connections and credentials. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  async record(call: Call, path: string): Promise<Kept> {
    const { ours: name } = this.#names(path);
    const ours = await this.#google.secret(call, name);
    this.#seen.set(name, ours);
    const text = ours?.annotations?.[RECORD];
    return { token: ours?.etag ?? undefined, data: text ? SecretValue.of(text) : undefined };
  }

  async writeRecord(
    call: Call,
    path: string,
    token: string | undefined,
    data: SecretValue,
  ): Promise<string | undefined> {
    const { ours } = this.#names(path);
    // As it was when the token was read: if it isn't so any more, the etag is another.
    const known = this.#seen.get(ours);
    const now = known?.etag === token ? known : await this.#google.secret(call, ours);
    if (!now || (now.etag ?? undefined) !== token) return undefined;
    const text = data.reveal();
    const secret = { name: ours, etag: token ?? null, annotations: { ...now.annotations, [RECORD]: text } };
    return this.#google.update(call, secret, 'annotations', (then) => then.annotations?.[RECORD] === text);
  }

  async newest(call: Call, path: string): Promise<Newest> {
    const { live } = this.#names(path);
    const latest = await this.#google.latest(call, live);
    if (!latest) return { number: 0, createdAt: new Date(0), document: undefined };
    const document = latest.enabled ? await this.#google.access(call, live, latest.number) : undefined;
    return { number: latest.number, createdAt: latest.createdAt, document };
  }

  async publish(
    call: Call,
    path: string,
    number: number,
    document: SecretValue,
  ): Promise<number | undefined> {
    const names = this.#names(path);
    if (!(await this.#google.secret(call, names.live))) {
      if (!this.#spec.create) throw notThere(names);
      await this.#google.create(call, names.parent, names.id, likeness(undefined, this.#spec));
    }
    // There is no precondition for a new version: this look is as close to it as can be.
    const before = (await this.#google.latest(call, names.live))?.number ?? 0;
    if (before !== number) return undefined;
    return this.#google.add(call, names.live, document, async () => {
      const after = (await this.#google.latest(call, names.live))?.number ?? 0;
      if (after === number) return undefined;
      const payload = await this.#google.access(call, names.live, after);
      return payload?.equals(document) ? after : undefined;
    });
  }

  /** Moves the alias of consumers that read one. */
  async settle(call: Call, path: string, number: number): Promise<void> {
    const { alias } = this.#spec;
    if (!alias) return;
    const { live } = this.#names(path);
    for (;;) {
      const now = await this.#google.secret(call, live);
      if (!now) return;
      const isThere = (secret: Secret) => String(secret.versionAliases?.[alias] ?? '') === String(number);
      if (isThere(now)) return;
      const versionAliases = { ...now.versionAliases, [alias]: number };
      const secret = { name: live, etag: now.etag ?? '', versionAliases };
      if ((await this.#google.update(call, secret, 'version_aliases', isThere)) !== undefined) return;
    }
  }

  same(kept: SecretValue, read: SecretValue): boolean {
    return kept.equals(read);
  }

  async keep(
    call: Call,
    path: string,
    _versionId: string,
    document: SecretValue,
    others: readonly RecordedVersion[],
  ): Promise<number> {
    const { ours } = this.#names(path);
    const recorded = new Set(others.map(({ kept }) => kept));
    const loose = async () =>
      (await this.#google.newest(call, ours)).filter(
        ({ number, enabled }) => enabled && !recorded.has(number),
      );
    const orphaned = call.clock.now().getTime() - ORPHAN_MS;
    for (const { number, createdAt } of await loose())
      if (createdAt.getTime() < orphaned) await this.#google.destroy(call, ours, number);
    return this.#google.add(call, ours, document, async () => {
      for (const { number } of await loose())
        if ((await this.#google.access(call, ours, number))?.equals(document)) return number;
      return undefined;
    });
  }

  async kept(call: Call, path: string, { kept }: RecordedVersion): Promise<SecretValue | undefined> {
    return kept === undefined ? undefined : this.#google.access(call, this.#names(path).ours, kept);
  }

  async forget(call: Call, path: string, { numbers, kept }: RecordedVersion): Promise<void> {
    const { live, ours } = this.#names(path);
    for (const number of numbers) await this.#google.destroy(call, live, number);
    if (kept !== undefined) await this.#google.destroy(call, ours, kept);
  }

  #names(path: string): Names {
    return new Names(this.#spec, path);
  }
}

/** A new secret that is kept where, and encrypted as, the one beside it is. Regional ones are where they are. */
function likeness(live: Secret | undefined, { location }: SecretManagerSpec): Secret {
  const labels = { 'managed-by': 'rotor' };
  if (location) {
    const key = live?.customerManagedEncryption;
    return { labels, ...(key ? { customerManagedEncryption: key } : {}) };
  }
  return { labels, replication: live?.replication ?? { automatic: {} } };
}

function notThere({ live }: Names): RotorError {
  return new RotorError('store.not-found', {
    what: `secret ${live} doesn't exist in Secret Manager`,
    hint: 'Create the secret, or set `create: true` in the Store.',
  });
}
