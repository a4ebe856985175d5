import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import { VaultClient } from '../../core/vault/client.ts';
import { unexpectedStatus } from '../../core/vault/troubles.ts';
import type { ProviderSpec } from './spec.ts';

/** What Vault holds for a static role. */
export interface Held {
  readonly username: string;
  /** Absent as long as Vault has never set one (`skip_import_rotation`), and for roles that log in by a key. */
  readonly password: SecretValue | undefined;
  /** When Vault replaces it by itself, in seconds from now. */
  readonly ttlSeconds: number;
}

/**
 * The calls of Vault's database secrets engine that a static role needs.
 * Source: the API pages of the database secrets engine, which OpenBao shares.
 */
export class DatabaseEngine {
  readonly #mount: string;
  readonly #client: VaultClient;

  constructor(spec: ProviderSpec) {
    this.#mount = spec.mount;
    this.#client = new VaultClient(spec, 'provider');
  }

  /** @throws RotorError `provider.permission-denied`, naming path and capability */
  async assertMay(call: Call, role: string): Promise<void> {
    const missing = await this.#client.missing(call, {
      [this.#path('static-creds', role)]: ['read'],
      [this.#path('rotate-role', role)]: ['update'],
    });
    if (missing.length === 0) return;
    throw new RotorError('provider.permission-denied', {
      what: `the policy of Rotor's token in Vault lacks ${missing.join('; ')}`,
      hint: 'docs/vault.md has the whole policy.',
    });
  }

  /** `GET static-creds/:name`. @throws RotorError `provider.unsupported` when there is no such role */
  async held(call: Call, role: string): Promise<Held> {
    const path = this.#path('static-creds', role);
    const answer = await this.#client.request(call, 'GET', path);
    if (answer.status !== 200) throw troubled('GET', path, role, answer);
    const { data } = JSON.parse(answer.body) as {
      data: { username: string; password?: string; ttl?: number };
    };
    return {
      username: data.username,
      password: data.password ? SecretValue.of(data.password) : undefined,
      ttlSeconds: data.ttl ?? 0,
    };
  }

  /**
   * `POST rotate-role/:name`: Vault makes a password and sets it. Not to be repeated blindly.
   * @throws RotorError `ambiguous` when Vault answers 5xx: it keeps the new password aside and goes on trying by itself
   */
  async rotate(call: Call, role: string): Promise<void> {
    const path = this.#path('rotate-role', role);
    const answer = await this.#client.request(call, 'POST', path, SecretValue.of('{}'));
    if (answer.status === 200 || answer.status === 204) return;
    const sealed = answer.status === 503 && /sealed/i.test(answer.body);
    if (answer.status < 500 || sealed) throw troubled('POST', path, role, answer);
    throw new RotorError('provider.connection-lost', {
      what: `Vault: POST ${path} answers ${answer.status}: it may have changed the password, or changes it later, since it goes on trying every 10 seconds`,
      hint: "Look into Vault's log, and whether its connection's user still logs in at the database.",
    });
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #path(what: 'static-creds' | 'rotate-role', role: string): string {
    return `${this.#mount}/${what}/${role}`;
  }
}

/** Vault answers 400 for a role that it doesn't know. */
function troubled(method: string, path: string, role: string, answer: HttpAnswer): RotorError {
  if (answer.status !== 400) return unexpectedStatus('provider', `${method} ${path}`, answer);
  return new RotorError('provider.unsupported', {
    what: `Vault has no static role ${role} at ${path}`,
    hint: 'Compare `mount` and `staticRole` with `vault list <mount>/static-roles`.',
  });
}
