import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import { VaultLogin } from './login.ts';
import type { VaultSpec } from './spec.ts';
import { refused, unexpectedStatus } from './troubles.ts';

/** The newest version of a KV secret. `number` 0: there never was one; without `data` it was deleted. */
export interface Newest {
  readonly number: number;
  readonly createdAt: Date;
  /** JSON text of the `data` object. */
  readonly data: SecretValue | undefined;
}

/** What Vault keeps below one entry; documents in the kit are 100 kB. */
const MAX_ANSWER = 4 * 1024 * 1024;

/**
 * The few calls of Vault's KV version 2 that a store needs: read the newest, write with check-and-set, destroy.
 * Source: the API pages of the KV secrets engine, version 2, which OpenBao shares.
 */
export class Kv {
  readonly #spec: VaultSpec;
  readonly #login: VaultLogin;
  #checked = false;

  constructor(spec: VaultSpec) {
    this.#spec = spec;
    this.#login = new VaultLogin(spec);
  }

  async newest(call: Call, path: string): Promise<Newest> {
    const answer = await this.#request(call, 'GET', `data/${path}`);
    if (answer.status !== 200 && answer.status !== 404) throw unexpectedStatus(`GET ${path}`, answer);
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
    throw unexpectedStatus(`POST ${path}`, answer);
  }

  /** Destroys the data of versions for good. */
  async destroy(call: Call, path: string, versions: readonly number[]): Promise<void> {
    if (versions.length === 0) return;
    const body = SecretValue.of(JSON.stringify({ versions }));
    const answer = await this.#request(call, 'PUT', `destroy/${path}`, body);
    if (![200, 204, 404].includes(answer.status)) throw unexpectedStatus(`PUT destroy/${path}`, answer);
  }

  /** Removes a secret with all its versions. */
  async remove(call: Call, path: string): Promise<void> {
    const answer = await this.#request(call, 'DELETE', `metadata/${path}`);
    if (![200, 204, 404].includes(answer.status)) throw unexpectedStatus(`DELETE metadata/${path}`, answer);
  }

  /**
   * What the token lacks of `needed` (path below the mount -> capabilities), as Vault itself tells; nothing where it doesn't.
   * @returns `path: capability, capability`, one for each path
   */
  async missing(call: Call, needed: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]> {
    await this.#assertVersioned(call);
    const { mount } = this.#spec;
    const body = SecretValue.of(
      JSON.stringify({ paths: Object.keys(needed).map((path) => `${mount}/${path}`) }),
    );
    const answer = await this.#send(call, 'POST', 'sys/capabilities-self', body);
    if (answer.status !== 200) return [];
    const { data } = JSON.parse(answer.body) as { data: Readonly<Record<string, readonly string[]>> };
    return Object.entries(needed).flatMap(([path, wanted]) => {
      const has = data[`${mount}/${path}`] ?? [];
      const lacks = has.includes('root') ? [] : wanted.filter((each) => !has.includes(each));
      return lacks.length > 0 ? [`${mount}/${path}: ${lacks.join(', ')}`] : [];
    });
  }

  close(): Promise<void> {
    return this.#login.end();
  }

  /** Version 1 has neither versions nor check-and-set, and would take our addresses for names of secrets. */
  async #assertVersioned(call: Call): Promise<void> {
    if (this.#checked) return;
    const { mount } = this.#spec;
    const answer = await this.#send(call, 'GET', `sys/internal/ui/mounts/${mount}`);
    if (answer.status === 403) throw refused('GET', `${mount}/`);
    if (answer.status !== 200) throw unexpectedStatus(`GET sys/internal/ui/mounts/${mount}`, answer);
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

  async #request(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const whole = `${this.#spec.mount}/${path}`;
    const answer = await this.#send(call, method, whole, body);
    if (answer.status !== 403) return answer;
    // The token may have ended or been replaced; refused requests did nothing, so a second try is safe.
    this.#login.forget();
    const again = await this.#send(call, method, whole, body);
    if (again.status === 403) throw refused(method, whole);
    return again;
  }

  async #send(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const token = await this.#login.token(call);
    const { address, namespace } = this.#spec;
    return httpRequest(call.deadline, {
      url: `${address.replace(/\/$/, '')}/v1/${path.split('/').map(encodeURIComponent).join('/')}`,
      method,
      headers: {
        'x-vault-token': token,
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
      maxBytes: MAX_ANSWER,
    });
  }
}
