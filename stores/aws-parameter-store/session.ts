import type { SSM } from '@aws-sdk/client-ssm';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Stage, StoredVersion, StoreReport, StoreSession } from '../store.ts';
import { ParameterCalls } from './calls.ts';
import {
  discarding,
  idLabel,
  idOf,
  LABEL,
  newest,
  type ParameterVersion,
  PLACEHOLDER,
  promotion,
  stageOf,
  tidying,
  unlabelled,
  versionOf,
  versionWith,
} from './labels.ts';
import { missing, notSecure } from './refusals.ts';
import { type ParameterStoreSpec, TIER_BYTES } from './spec.ts';
import { endTurn, inTurn } from './turn.ts';

/** SecureString parameters in one account and region. Keys, tiers, tags and policies of existing ones stay. */
export class ParameterStoreSession implements StoreSession {
  readonly #spec: ParameterStoreSpec;
  readonly #client: () => Promise<SSM>;

  constructor(spec: ParameterStoreSpec, client: () => Promise<SSM>) {
    this.#spec = spec;
    this.#client = client;
  }

  async stage(call: Call, path: string, versionId: string, document: SecretValue): Promise<void> {
    const parameter = this.#parameter(path);
    const history = await this.#prepared(call, parameter, document);
    const known = versionOf(history, path, versionId);
    if (known) {
      if (!(await parameter.value(call, known.number))?.equals(document)) {
        throw new RotorError('store.conflict', {
          what: `parameter ${parameter.name}: version ${versionId} exists with another document`,
        });
      }
      if (stageOf(history, known) === undefined)
        await parameter.apply(call, { label: [LABEL.pending], on: known.number });
      return;
    }
    for (const change of tidying(history)) await parameter.apply(call, change);
    // One that an earlier try wrote and couldn't label any more.
    const number =
      (await this.#find(call, parameter, document)) ??
      (await this.#write(call, parameter, history, document));
    // Both in one step: who finds the version by its id may take it for staged.
    await parameter.apply(call, { label: [idLabel(versionId), LABEL.pending], on: number });
  }

  async read(
    call: Call,
    path: string,
    which: Stage | { readonly versionId: string },
  ): Promise<{ readonly versionId: string; readonly document: SecretValue } | undefined> {
    const parameter = this.#parameter(path);
    const history = await parameter.history(call);
    const version =
      typeof which === 'string' ? versionWith(history, which) : versionOf(history, path, which.versionId);
    const document = version && (await parameter.value(call, version.number));
    return document && { versionId: idOf(path, version), document };
  }

  async promote(call: Call, path: string, versionId: string, expected: string | undefined): Promise<void> {
    const parameter = this.#parameter(path);
    const { name } = parameter;
    const before = await parameter.history(call);
    if (before.length === 0) throw missing(name);
    const client = await this.#client();
    if (promotion(before, path, versionId, expected).length === 0)
      return endTurn(call, client, name, versionId);
    await inTurn(call, client, name, versionId, async () => {
      const changes = promotion(await parameter.history(call), path, versionId, expected);
      for (const change of changes) await parameter.apply(call, change);
    });
  }

  /** Takes Rotor's labels away; the value stays in the parameter's history until newer versions push it out. */
  async discard(call: Call, path: string, versionId: string): Promise<void> {
    const parameter = this.#parameter(path);
    for (const change of discarding(await parameter.history(call), path, versionId))
      await parameter.apply(call, change);
  }

  async list(call: Call, path: string): Promise<readonly StoredVersion[]> {
    const history = await this.#parameter(path).history(call);
    return history
      .flatMap((version) => {
        const stage = stageOf(history, version);
        const { modifiedAt: createdAt } = version;
        return stage ? [{ versionId: idOf(path, version), stages: [stage], createdAt }] : [];
      })
      .reverse();
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const parameter = this.#parameter(path);
    const { name } = parameter;
    const history = await parameter.history(call);
    const last = newest(history);
    if (!last) {
      if (this.#spec.create) return { warnings: [`parameter ${name} doesn't exist yet: Rotor makes it`] };
      throw missing(name);
    }
    if (last.type !== 'SecureString') throw notSecure(name, last.type);
    const current = versionWith(history, 'current');
    const newer = current !== undefined && current !== last && unlabelled(history).includes(last);
    const warnings = newer
      ? [
          `parameter ${name}: version ${last.number} is newer than version ${current.number}, which is current, and was not made by Rotor`,
        ]
      : [];
    const adopts = current && !current.labels.includes(LABEL.current);
    if (adopts) {
      warnings.push(
        `parameter ${name}: consumers must read ${name}:${LABEL.current} from now on; without a label AWS gives them the newest version, which may not be in use yet`,
      );
    }
    return { warnings };
  }

  /** The client is the process's, not the session's: others use its connections and credentials. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** Sees to it that the parameter is there, and that its next version isn't taken for the current one. */
  async #prepared(
    call: Call,
    parameter: ParameterCalls,
    document: SecretValue,
  ): Promise<readonly ParameterVersion[]> {
    const history = await parameter.history(call);
    const last = newest(history);
    const tier =
      last?.tier === 'Advanced' || (!last && this.#spec.tier === 'Advanced') ? 'Advanced' : 'Standard';
    if (document.size > TIER_BYTES[tier]) {
      throw new RotorError('store.too-large', {
        what: `parameter ${parameter.name}: a document of ${document.size} bytes; tier ${tier} takes ${TIER_BYTES[tier]}`,
      });
    }
    if (last && last.type !== 'SecureString') throw notSecure(parameter.name, last.type);
    const current = versionWith(history, 'current');
    if (current && !current.labels.includes(LABEL.current)) {
      await parameter.apply(call, { label: [LABEL.current], on: current.number });
      return parameter.history(call);
    }
    if (last) return history;
    if (!this.#spec.create) throw missing(parameter.name);
    const { kmsKeyId } = this.#spec;
    await parameter.put(
      call,
      SecretValue.of('{}'),
      { tier, description: PLACEHOLDER, ...(kmsKeyId ? { keyId: kmsKeyId } : {}) },
      async () => (await parameter.history(call)).length > 0,
      false,
    );
    return parameter.history(call);
  }

  async #write(
    call: Call,
    parameter: ParameterCalls,
    history: readonly ParameterVersion[],
    document: SecretValue,
  ): Promise<number> {
    const last = newest(history);
    const { keyId, tier = 'Standard' } = last ?? {};
    const description = last?.description === PLACEHOLDER ? 'Kept by Rotor.' : undefined;
    const written = { tier, ...(keyId ? { keyId } : {}), ...(description ? { description } : {}) };
    const found = () => this.#find(call, parameter, document);
    await parameter.put(call, document, written, async () => (await found()) !== undefined, true);
    const number = await found();
    if (number !== undefined) return number;
    throw new RotorError('store.conflict', {
      what: `parameter ${parameter.name}: the version that was just written can't be read back`,
      kind: 'retryable',
    });
  }

  /** Number of a version without labels that holds the document; newest first. */
  async #find(call: Call, parameter: ParameterCalls, document: SecretValue): Promise<number | undefined> {
    for (const { number } of unlabelled(await parameter.history(call)).toReversed())
      if ((await parameter.value(call, number))?.equals(document)) return number;
    return undefined;
  }

  #parameter(path: string): ParameterCalls {
    const name = `${this.#spec.prefix}${path}`;
    // Names with a slash are paths, and paths start with one.
    const full = name.includes('/') && !name.startsWith('/') ? `/${name}` : name;
    return new ParameterCalls(full, this.#client);
  }
}
