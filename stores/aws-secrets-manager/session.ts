import type { DescribeSecretResponse, SecretsManager } from '@aws-sdk/client-secrets-manager';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Asked } from '../aws/errors.ts';
import { exceptionName } from '../aws/errors.ts';
import { ask, change } from '../aws/send.ts';
import { versionIdOf } from '../foreign-ids.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import { checked } from './check.ts';
import { discarding, LABEL, type Labels, type Move, PLACEHOLDER, promotion, stagesOf } from './labels.ts';
import { explained, goingAway, missing } from './refusals.ts';
import { awaitReplicas } from './replicas.ts';
import { MAX_BYTES, type SecretsManagerSpec } from './spec.ts';

/** Secrets in one account and region. Only values and labels are ever written; policies, keys, tags and replicas stay. */
export class SecretsManagerSession implements StoreSession {
  readonly #spec: SecretsManagerSpec;
  readonly #client: () => Promise<SecretsManager>;

  constructor(spec: SecretsManagerSpec, client: () => Promise<SecretsManager>) {
    this.#spec = spec;
    this.#client = client;
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    const name = this.#name(path);
    if (document.size > MAX_BYTES) {
      throw new RotorError('store.too-large', {
        what: `secret ${name}: a document of ${document.size} bytes; AWS Secrets Manager takes ${MAX_BYTES}`,
      });
    }
    if (await this.#isStaged(call, path, versionId, document)) return;
    await this.#prepare(call, path);
    const client = await this.#client();
    const request = {
      SecretId: name,
      // Makes the call idempotent, and becomes the version's id.
      ClientRequestToken: versionId,
      SecretString: document.reveal(),
      VersionStages: [LABEL.pending],
    };
    await change(
      call,
      this.#asked('PutSecretValue', name),
      (options) => client.putSecretValue(request, options),
      () => this.#isStaged(call, path, versionId, document),
      explained(name),
    );
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    const name = this.#name(path);
    const found = await this.#value(
      call,
      name,
      typeof which === 'string'
        ? { VersionStage: LABEL[which] }
        : { VersionId: await this.#foreign(call, path, which.versionId) },
    );
    if (!found || found.id === PLACEHOLDER.token) return undefined;
    if (typeof which === 'string' && !stagesOf(found.labels).includes(which)) return undefined;
    return { versionId: versionIdOf(path, found.id), document: found.document };
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    const labels = await this.#labels(call, path);
    const name = this.#name(path);
    if (!labels) throw missing(name);
    const id = idAmong(labels, path, versionId);
    const expectedId = expected === undefined ? undefined : idAmong(labels, path, expected);
    if (!labels[id] && !(await this.#ids(call, name)).some((known) => known.id === id)) {
      throw new RotorError('store.not-found', { what: `secret ${name} has no version ${versionId}` });
    }
    for (const move of promotion(labels, path, id, expectedId)) await this.#move(call, path, move);
    await awaitReplicas(call, name, () => this.#describe(call, name));
  }

  /** Takes the labels away. AWS then counts the version as deprecated, and deletes it when it likes. */
  async discard(call: Call, path: string, versionId: string): Promise<void> {
    const labels = (await this.#labels(call, path)) ?? {};
    for (const move of discarding(labels, path, idAmong(labels, path, versionId)))
      await this.#move(call, path, move);
  }

  /** Versions with a stage: AWS keeps the others for a while, but doesn't promise them. */
  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const labels = await this.#labels(call, path);
    if (!labels || Object.keys(labels).length === 0) return [];
    const versions = (await this.#ids(call, this.#name(path))).flatMap(({ id, createdAt }) => {
      const stages = stagesOf(labels[id] ?? []);
      const shown = id !== PLACEHOLDER.token && stages.length > 0;
      return shown ? [{ versionId: versionIdOf(path, id), stages, createdAt }] : [];
    });
    return versions.reverse().sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const name = this.#name(path);
    return checked(name, await this.#describe(call, name), this.#spec.create);
  }

  /** The client is the process's, not the session's: others use its connections and credentials. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** @throws RotorError `store.conflict` when the id is taken by another document */
  async #isStaged(call: Call, path: string, versionId: string, document: SecretValue): Promise<boolean> {
    const name = this.#name(path);
    const found = await this.#value(call, name, { VersionId: versionId });
    if (!found) return false;
    if (!found.document.equals(document)) {
      throw new RotorError('store.conflict', {
        what: `secret ${name}: version ${versionId} exists with another document`,
      });
    }
    // A version that lost its label to another one, and is staged again.
    if (stagesOf(found.labels).length === 0) {
      const labels = (await this.#labels(call, path)) ?? {};
      const from = Object.keys(labels).find((id) => labels[id]?.includes(LABEL.pending));
      await this.#move(call, path, { label: LABEL.pending, to: versionId, ...(from ? { from } : {}) });
    }
    return true;
  }

  /** Sees to it that the secret is there and that its next version won't become current by itself. */
  async #prepare(call: Call, path: string): Promise<void> {
    const name = this.#name(path);
    const labels = await this.#labels(call, path);
    if (labels && Object.keys(labels).length > 0) return;
    const client = await this.#client();
    const first = { ClientRequestToken: PLACEHOLDER.token, SecretString: PLACEHOLDER.document };
    const isThere = async () => Object.keys((await this.#labels(call, path)) ?? {}).length > 0;
    if (labels) {
      const asked = this.#asked('PutSecretValue', name);
      const put = { SecretId: name, ...first, VersionStages: [LABEL.current] };
      await change(call, asked, (options) => client.putSecretValue(put, options), isThere, explained(name));
      return;
    }
    if (!this.#spec.create) throw missing(name);
    const { kmsKeyId } = this.#spec;
    const made = { Name: name, ...first, ...(kmsKeyId ? { KmsKeyId: kmsKeyId } : {}) };
    const asked = this.#asked('CreateSecret', name);
    await change(
      call,
      asked,
      async (options) => {
        try {
          await client.createSecret(made, options);
        } catch (error) {
          // Somebody else was faster: their secret is as good.
          if (exceptionName(error) !== 'ResourceExistsException') throw error;
        }
      },
      isThere,
      explained(name),
    );
  }

  /** AWS refuses a move whose `from` doesn't carry the label any more: nobody else's change is undone. */
  async #move(call: Call, path: string, { label, from, to }: Move): Promise<void> {
    const name = this.#name(path);
    const client = await this.#client();
    const request = {
      SecretId: name,
      VersionStage: label,
      ...(from === undefined ? {} : { RemoveFromVersionId: from }),
      ...(to === undefined ? {} : { MoveToVersionId: to }),
    };
    const isDone = async () => {
      const labels = (await this.#labels(call, path)) ?? {};
      const removed = from === undefined || !labels[from]?.includes(label);
      return removed && (to === undefined || (labels[to]?.includes(label) ?? false));
    };
    await change(
      call,
      this.#asked('UpdateSecretVersionStage', name),
      async (options) => {
        try {
          await client.updateSecretVersionStage(request, options);
        } catch (error) {
          if (exceptionName(error) !== 'InvalidParameterException') throw error;
          if (await isDone()) return;
          throw new RotorError('store.conflict', {
            what: `secret ${name}: ${label} is no longer on ${from ?? 'no version'}: somebody else moved it`,
          });
        }
      },
      isDone,
      explained(name),
    );
  }

  async #value(
    call: Call,
    name: string,
    which: { readonly VersionId: string } | { readonly VersionStage: string },
  ): Promise<{ id: string; labels: readonly string[]; document: SecretValue } | undefined> {
    const client = await this.#client();
    const found = await ask(
      call,
      this.#asked('GetSecretValue', name),
      async (options) => {
        try {
          return await client.getSecretValue({ SecretId: name, ...which }, options);
        } catch (error) {
          if (exceptionName(error) === 'ResourceNotFoundException') return undefined;
          throw error;
        }
      },
      explained(name),
    );
    if (!found?.VersionId) return undefined;
    const document = SecretValue.of(found.SecretString ?? found.SecretBinary ?? '');
    found.SecretBinary?.fill(0);
    return { id: found.VersionId, labels: found.VersionStages ?? [], document };
  }

  /** undefined when there is no such secret. @throws RotorError `store.conflict` when it is about to be deleted */
  async #labels(call: Call, path: string): Promise<Labels | undefined> {
    const name = this.#name(path);
    const described = await this.#describe(call, name);
    if (described?.DeletedDate) throw goingAway(name);
    const entries = Object.entries(described?.VersionIdsToStages ?? {});
    return described && Object.fromEntries(entries.filter(([, own]) => own.length > 0));
  }

  async #describe(call: Call, name: string): Promise<DescribeSecretResponse | undefined> {
    const client = await this.#client();
    return ask(
      call,
      this.#asked('DescribeSecret', name),
      async (options) => {
        try {
          return await client.describeSecret({ SecretId: name }, options);
        } catch (error) {
          if (exceptionName(error) === 'ResourceNotFoundException') return undefined;
          throw error;
        }
      },
      explained(name),
    );
  }

  /** Every version there still is, also without labels. */
  async #ids(
    call: Call,
    name: string,
  ): Promise<readonly { readonly id: string; readonly createdAt: Date }[]> {
    const client = await this.#client();
    const asked = this.#asked('ListSecretVersionIds', name);
    const found: { id: string; createdAt: Date }[] = [];
    let token: string | undefined;
    do {
      const request = { SecretId: name, IncludeDeprecated: true, ...(token ? { NextToken: token } : {}) };
      const page = await ask(
        call,
        asked,
        async (options) => {
          try {
            return await client.listSecretVersionIds(request, options);
          } catch (error) {
            if (exceptionName(error) === 'ResourceNotFoundException') return undefined;
            throw error;
          }
        },
        explained(name),
      );
      for (const { VersionId, CreatedDate } of page?.Versions ?? [])
        if (VersionId) found.push({ id: VersionId, createdAt: CreatedDate ?? new Date(0) });
      token = page?.NextToken || undefined;
    } while (token);
    return found;
  }

  /** AWS's id of a version of Rotor's: the same, but for versions of other tools whose ids are no UUIDs. */
  async #foreign(call: Call, path: string, versionId: string): Promise<string> {
    // Only derived ids say version 8: all others are AWS's own.
    if (versionId[14] !== '8') return versionId;
    const known = await this.#ids(call, this.#name(path));
    return known.find(({ id }) => versionIdOf(path, id) === versionId)?.id ?? versionId;
  }

  #name(path: string): string {
    return `${this.#spec.prefix}${path}`;
  }

  #asked(operation: string, name: string): Asked {
    return { action: `secretsmanager:${operation}`, object: `secret ${name}` };
  }
}

function idAmong(labels: Labels, path: string, versionId: string): string {
  return Object.keys(labels).find((id) => versionIdOf(path, id) === versionId) ?? versionId;
}
