import type { Call } from '../call.ts';
import { type HttpAnswer, httpRequest } from '../http.ts';
import { SecretValue } from '../secret.ts';
import { urlPath } from '../url-path.ts';
import { VaultLogin } from './login.ts';
import type { VaultServer } from './server.ts';
import { refused, type Side } from './troubles.ts';

/** What Vault keeps below one entry; documents in the kit are 100 kB. */
const MAX_ANSWER = 4 * 1024 * 1024;

/** Speaks to a HashiCorp Vault or an OpenBao by its HTTP API, with a login that is kept up. */
export class VaultClient {
  readonly #server: VaultServer;
  readonly #side: Side;
  readonly #login: VaultLogin;

  constructor(server: VaultServer, side: Side) {
    this.#server = server;
    this.#side = side;
    this.#login = new VaultLogin(server, side);
  }

  /**
   * A request that has to be allowed.
   * @param path below `/v1/`
   * @throws RotorError for a 403 that stays with a fresh token (every other status is an answer), and for a path with dot segments
   */
  async request(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const answer = await this.send(call, method, path, body);
    if (answer.status !== 403) return answer;
    // The token may have ended or been replaced; refused requests did nothing, so a second try is safe.
    this.#login.forget();
    const again = await this.send(call, method, path, body);
    if (again.status === 403) throw refused(this.#side, method, path);
    return again;
  }

  /** A request, once; any status is an answer. */
  async send(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const token = await this.#login.token(call);
    const { address, namespace } = this.#server;
    return httpRequest(call.deadline, {
      url: `${address.replace(/\/$/, '')}/v1/${urlPath(path)}`,
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

  /**
   * What the token lacks of `needed` (path -> capabilities), as Vault itself tells; nothing where it doesn't.
   * @returns `path: capability, capability`, one for each path
   */
  async missing(call: Call, needed: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]> {
    const body = SecretValue.of(JSON.stringify({ paths: Object.keys(needed) }));
    const answer = await this.send(call, 'POST', 'sys/capabilities-self', body);
    if (answer.status !== 200) return [];
    const { data } = JSON.parse(answer.body) as { data: Readonly<Record<string, readonly string[]>> };
    return Object.entries(needed).flatMap(([path, wanted]) => {
      const has = data[path] ?? [];
      const lacks = has.includes('root') ? [] : wanted.filter((each) => !has.includes(each));
      return lacks.length > 0 ? [`${path}: ${lacks.join(', ')}`] : [];
    });
  }

  /** Takes an own login away again. */
  close(): Promise<void> {
    return this.#login.end();
  }
}
