import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import { VaultClient } from '../../core/vault/client.ts';
import { refused, unexpectedStatus } from '../../core/vault/troubles.ts';
import type { VaultSpec } from './spec.ts';

/** The newest version of a KV secret. `number` 0: there never was one; without `data` it was deleted. */
export interface Newest {
  readonly number: number;
  readonly createdAt: Date;
  /** JSON text of the `data` object. */
  readonly data: SecretValue | undefined;
}

/**
 * The few calls of Vault's KV version 2 that a store needs: read the newest, write with check-and-set, destroy.
 * Source: the API pages of the KV secrets engine, version 2, which OpenBao shares.
 */
export class Kv {
  readonly #spec: VaultSpec;
  readonly #client: VaultClient;
  #checked = false;

  constructor(spec: VaultSpec) {
    this.#spec = spec;
    this.#client = new VaultClient(spec, 'store');
  }

  async newest(call: Call, path: string): Promise<Newest> {
    const answer = await this.#request(call, 'GET', `data/${path}`);
    if (answer.status !== 200 && answer.status !== 404)
      throw unexpectedStatus('store', `GET ${path}`, answer);
    const { data } = JSON.parse(answer.body) as {
      data?: { data?: object | null; metadata?: { version?: number; created_time?: string } };
    };
    const number = data?.metadata?.version ?? 0;
    // Nothing there at all is also what a mount that doesn't exist looks like.
    if (number === 0) await this.#assertVersioned(call);
    return {
      number,
      createdAt: new Date(data?.metadata?.created_time ?? 0),
      data: data?.data ? SecretValue.of(JSON.stringify(data.data)) : undefined,
    };
  }

  /**
   * Writes a version after `number`, the newest (0: none).
   * @returns false when another one has been written since
   */
  async write(call: Call, path: string, number: number, data: SecretValue): Promise<boolean> {
    await this.#assertVersioned(call);
    const body = SecretValue.of(`{"options":{"cas":${number}},"data":${data.reveal()}}`);
    const answer = await this.#request(call, 'POST', `data/${path}`, body);
    body.destroy();
    if (answer.status === 200 || answer.status === 204) return true;
    if (answer.status === 400 && answer.body.includes('check-and-set')) return false;
    throw unexpectedStatus('store', `POST ${path}`, answer);
  }

  /** Destroys the data of versions for good. */
  async destroy(call: Call, path: string, versions: readonly number[]): Promise<void> {
    if (versions.length === 0) return;
    const body = SecretValue.of(JSON.stringify({ versions }));
    const answer = await this.#request(call, 'PUT', `destroy/${path}`, body);
    if (![200, 204, 404].includes(answer.status))
      throw unexpectedStatus('store', `PUT destroy/${path}`, answer);
  }

  /** Removes a secret with all its versions. */
  async remove(call: Call, path: string): Promise<void> {
    const answer = await this.#request(call, 'DELETE', `metadata/${path}`);
    if (![200, 204, 404].includes(answer.status))
      throw unexpectedStatus('store', `DELETE metadata/${path}`, answer);
  }

  /**
   * What the token lacks of `needed` (path below the mount -> capabilities), as Vault itself tells; nothing where it doesn't.
   * @returns `path: capability, capability`, one for each path
   */
  async missing(call: Call, needed: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]> {
    await this.#assertVersioned(call);
    const whole = Object.entries(needed).map(([path, wanted]) => [`${this.#spec.mount}/${path}`, wanted]);
    return this.#client.missing(call, Object.fromEntries(whole));
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Version 1 has neither versions nor check-and-set, and would take our addresses for names of secrets. */
  async #assertVersioned(call: Call): Promise<void> {
    if (this.#checked) return;
    const { mount } = this.#spec;
    const answer = await this.#client.send(call, 'GET', `sys/internal/ui/mounts/${mount}`);
    if (answer.status === 403) throw refused('store', 'GET', `${mount}/`);
    if (answer.status !== 200) throw unexpectedStatus('store', `GET sys/internal/ui/mounts/${mount}`, answer);
    const { data } = JSON.parse(answer.body) as {
      data?: { type?: string; options?: { version?: string } | null };
    };
    if (data?.type !== 'kv' || data.options?.version !== '2') {
      const is = data?.type === 'kv' ? 'the KV engine in version 1' : `the engine "${data?.type}"`;
      throw new RotorError('store.unsupported', {
        what: `Vault's mount "${mount}" is ${is}, which keeps no versions and no check-and-set: two writers could undo each other unseen`,
        hint: `Upgrade it (\`vault kv enable-versioning ${mount}\`), or name a mount of KV version 2.`,
      });
    }
    this.#checked = true;
  }

  #request(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    return this.#client.request(call, method, `${this.#spec.mount}/${path}`, body);
  }
}
