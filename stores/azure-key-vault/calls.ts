import type { SecretClient } from '@azure/keyvault-secrets';
import type { Call } from '../../core/call.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Asking, ask, change, type Send } from '../send.ts';
import { type Asked, keyVaultError, statusOf } from './errors.ts';
import type { Tags } from './tags.ts';

/** One version of a secret, without its value. */
export interface SecretVersion {
  /** Key Vault's own id of it. */
  readonly version: string;
  readonly tags: Tags;
  readonly contentType: string | undefined;
  /** In whole seconds: Key Vault knows no less. */
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
  readonly enabled: boolean;
}

export interface Latest extends SecretVersion {
  readonly value: SecretValue;
}

export interface Written {
  readonly tags: Tags;
  readonly contentType?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

/** What is asked of one vault. Whatever may be repeated is, while the deadline allows (send.ts of the stores). */
export class KeyVaultCalls {
  readonly #client: () => Promise<SecretClient>;

  constructor(client: () => Promise<SecretClient>) {
    this.#client = client;
  }

  /** The newest version; undefined when there is no such secret. @throws RotorError `store.conflict` when it is disabled */
  async latest(call: Call, name: string): Promise<Latest | undefined> {
    const client = await this.#client();
    const found = await ask(call, asking({ permission: 'get', name }), (options) =>
      orNothing(client.getSecret(name, options)),
    );
    return found && { ...seen(found.properties), value: SecretValue.of(found.value ?? '') };
  }

  /** Every version, in no order. */
  async versions(call: Call, name: string): Promise<readonly SecretVersion[]> {
    const client = await this.#client();
    return ask(call, asking({ permission: 'list', name }), async (options) => {
      const found: SecretVersion[] = [];
      for await (const properties of client.listPropertiesOfSecretVersions(name, options))
        found.push(seen(properties));
      return found;
    }).catch((error: { readonly code?: string }) => {
      if (error.code === 'store.not-found') return [];
      throw error;
    });
  }

  /** Adds a version, which is the newest at once. Key Vault takes no precondition: `isDone` settles a lost answer. */
  async add(
    call: Call,
    name: string,
    value: SecretValue,
    { tags, contentType, expiresAt }: Written,
    isDone: () => Promise<boolean>,
  ): Promise<void> {
    const client = await this.#client();
    const send: Send<unknown> = (options) =>
      client.setSecret(name, value.reveal(), {
        ...options,
        tags: { ...tags },
        ...(contentType ? { contentType } : {}),
        ...(expiresAt ? { expiresOn: expiresAt } : {}),
      });
    await change(call, asking({ permission: 'set', name }), send, isDone);
  }

  /** Sets all tags of one version, or disables it. The same request twice is the same state. */
  async update(
    call: Call,
    name: string,
    version: string,
    changed: { readonly tags: Tags } | { readonly enabled: false },
  ): Promise<void> {
    const client = await this.#client();
    await ask(call, asking({ permission: 'set', name }), (options) =>
      client.updateSecretProperties(name, version, { ...options, ...changed }),
    );
  }

  /** Deletes a secret with all its versions; how long it can be recovered is the vault's to say. */
  async remove(call: Call, name: string): Promise<void> {
    const client = await this.#client();
    await ask(call, asking({ permission: 'delete', name }), (options) =>
      orNothing(client.beginDeleteSecret(name, options)),
    );
  }
}

interface Properties {
  readonly version?: string;
  readonly tags?: Record<string, string>;
  readonly contentType?: string;
  readonly createdOn?: Date;
  readonly expiresOn?: Date;
  readonly enabled?: boolean;
}

function seen({ version, tags, contentType, createdOn, expiresOn, enabled }: Properties): SecretVersion {
  return {
    version: version ?? '',
    tags: tags ?? {},
    contentType,
    createdAt: createdOn ?? new Date(0),
    expiresAt: expiresOn,
    enabled: enabled !== false,
  };
}

function asking(asked: Asked): Asking {
  return {
    doing: `secret ${asked.name}: secrets/${asked.permission}`,
    translate: (thrown) => keyVaultError(thrown, asked),
  };
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
