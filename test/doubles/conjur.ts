import { randomBytes } from 'node:crypto';
import { type DoubleAnswer, type DoubleRequest, HttpDouble } from './http-double.ts';

const KEPT = 20;
type Privilege = 'read' | 'execute' | 'update';

/**
 * A double of Conjur's REST API as far as one role and its variables go, written to CyberArk's pages "Authenticate",
 * "JWT Authenticator", "Set a secret", "Retrieve a secret", "Show a resource" and "Check permission". It is not Conjur.
 */
export class ConjurDouble extends HttpDouble {
  readonly account = 'shop';
  readonly login = 'host/rotor';
  readonly apiKey: string;
  readonly jwt = 'header.payload.signature';
  /** Variables that a policy declares, with their values, newest last. */
  readonly variables = new Map<string, string[]>();
  readonly privileges = new Set<Privilege>(['read', 'execute', 'update']);
  /** Every name is declared, as if a policy had been loaded for it. */
  declaresAll = false;
  /** Tokens that are accepted, in base64. */
  readonly tokens = new Set<string>();

  constructor(apiKey: string) {
    super();
    this.apiKey = apiKey;
  }

  declare(...names: string[]): this {
    for (const name of names) this.variables.set(name, []);
    return this;
  }

  value(name: string): string | undefined {
    return this.variables.get(name)?.at(-1);
  }

  protected usual({ method, path, query, headers, body }: DoubleRequest): DoubleAnswer {
    const parts = path.slice(1).split('/').map(decodeURIComponent);
    if (method === 'POST' && parts.at(-1) === 'authenticate') return this.#authenticate(parts, body, headers);
    const [, token] = /^Token token="([A-Za-z0-9+/=]+)"$/.exec(String(headers.authorization)) ?? [];
    if (token === undefined || !this.tokens.has(token)) return { status: 401 };
    const [what, account, kind, name = '', ...more] = parts;
    if (more.length > 0 || kind !== 'variable') return missing(name);
    if (name === '')
      return { status: 422, body: { error: { code: 'validation_failed', message: 'id is empty' } } };
    if (this.declaresAll && !this.variables.has(name)) this.variables.set(name, []);
    const values = this.variables.get(name);
    const visible = account === this.account && values && this.privileges.size > 0;
    if (!visible) return missing(name);
    if (what === 'resources') return this.#resource(query, name, values);
    if (what !== 'secrets') return missing(name);
    if (method === 'POST') {
      if (!this.privileges.has('update')) return { status: 403 };
      if (body === '')
        return { status: 422, body: { error: { code: 'validation_failed', message: 'value is empty' } } };
      values.splice(0, values.length, ...[...values, body].slice(-KEPT));
      return { status: 201 };
    }
    if (!this.privileges.has('execute')) return { status: 403 };
    const wanted = query.get('version');
    const value = wanted === null ? values.at(-1) : values[Number(wanted) - 1];
    return value === undefined
      ? missing(name)
      : { status: 200, headers: { 'content-type': 'application/octet-stream' }, text: value };
  }

  #resource(query: URLSearchParams, name: string, values: readonly string[]): DoubleAnswer {
    if (query.get('check') === 'true')
      return { status: this.privileges.has(query.get('privilege') as Privilege) ? 204 : 404 };
    const secrets = values.map((_, index) => ({ version: index + 1, expires_at: null }));
    return {
      status: 200,
      body: { id: `${this.account}:variable:${name}`, owner: `${this.account}:user:admin`, secrets },
    };
  }

  #authenticate(parts: readonly string[], body: string, headers: DoubleRequest['headers']): DoubleAnswer {
    const byKey =
      parts[0] === 'authn' && parts[1] === this.account && parts[2] === this.login && body === this.apiKey;
    const byJwt =
      parts[0] === 'authn-jwt' &&
      parts[1] === 'kubernetes' &&
      parts[2] === this.account &&
      new URLSearchParams(body).get('jwt') === this.jwt;
    if (!byKey && !byJwt) return { status: 401 };
    const token = JSON.stringify({
      protected: randomBytes(9).toString('base64'),
      payload: 'e30=',
      signature: 'double',
    });
    const encoded = Buffer.from(token).toString('base64');
    this.tokens.add(encoded);
    return headers['accept-encoding'] === 'base64'
      ? {
          status: 200,
          headers: { 'content-encoding': 'base64', 'content-type': 'text/plain' },
          text: encoded,
        }
      : { status: 200, text: token };
  }
}

function missing(name: string): DoubleAnswer {
  const message = `CONJ00076E Variable shop:variable:${name} is empty or not found.`;
  return { status: 404, body: { error: { code: 'not_found', message } } };
}
