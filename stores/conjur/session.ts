import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import { urlPart } from '../../core/url-path.ts';
import type { StagelessSession, Standing } from '../stageless.ts';
import type { StoreReport } from '../store.ts';
import { ConjurLogin } from './login.ts';
import type { ConjurSpec } from './spec.ts';
import { denied, undeclared, unexpectedStatus } from './troubles.ts';

/** Conjur takes values of 10 MB. */
const MAX_ANSWER = 11 * 1024 * 1024;

/** What a role needs: to know of a variable, to fetch its value, to set it. */
const PRIVILEGES = ['read', 'execute', 'update'] as const;

/**
 * Variables of Conjur: one value each, the last 20 kept, no stages and no precondition. Source: Conjur's pages "Retrieve
 * a secret", "Set a secret" and "Check permission".
 */
export class ConjurSession implements StagelessSession {
  readonly #spec: ConjurSpec;
  readonly #login: ConjurLogin;
  /** Variables that were seen to be declared. */
  readonly #declared = new Set<string>();

  constructor(spec: ConjurSpec) {
    this.#spec = spec;
    this.#login = new ConjurLogin(spec);
  }

  async look(call: Call, path: string): Promise<Standing | undefined> {
    const variable = this.#variable(path);
    const answer = await this.#request(call, 'GET', `secrets/${this.#resource(variable)}`);
    if (answer.status === 404) {
      await this.#assertDeclared(call, variable);
      return undefined;
    }
    if (answer.status === 403) throw denied('execute', variable);
    if (answer.status !== 200) throw unexpectedStatus(`GET secrets/${variable}`, answer);
    const document = SecretValue.of(answer.body);
    return { document, mark: document, is: (_, other) => other.equals(document) };
  }

  async write(
    call: Call,
    path: string,
    { document }: { readonly versionId: string; readonly document: SecretValue },
  ): Promise<void> {
    const variable = this.#variable(path);
    const answer = await this.#request(call, 'POST', `secrets/${this.#resource(variable)}`, document);
    if (answer.status === 201 || answer.status === 200) return;
    if (answer.status === 403) throw denied('update', variable);
    if (answer.status === 404) throw undeclared(variable);
    throw unexpectedStatus(`POST secrets/${variable}`, answer);
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const variable = this.#variable(path);
    await this.#assertDeclared(call, variable);
    for (const privilege of PRIVILEGES) {
      const query = `?check=true&privilege=${privilege}`;
      const answer = await this.#request(call, 'GET', `resources/${this.#resource(variable)}${query}`);
      // Both mean no: Conjur doesn't tell a role about what it may not do.
      if (answer.status === 403 || answer.status === 404) throw denied(privilege, variable);
      if (answer.status !== 204) throw unexpectedStatus(`GET resources/${variable}`, answer);
    }
    return { warnings: [] };
  }

  async close(): Promise<void> {
    this.#login.forget();
  }

  async #assertDeclared(call: Call, variable: string): Promise<void> {
    if (this.#declared.has(variable)) return;
    const answer = await this.#request(call, 'GET', `resources/${this.#resource(variable)}`);
    if (answer.status === 403 || answer.status === 404) throw undeclared(variable);
    if (answer.status !== 200) throw unexpectedStatus(`GET resources/${variable}`, answer);
    this.#declared.add(variable);
  }

  /** @throws RotorError `manifest.invalid` for a path that is no identifier */
  #variable(path: string): string {
    const variable = `${this.#spec.prefix}${path}`;
    if (variable.length <= 500 && variable.split('/').every((part) => /^[\w.@ +&-]+$/.test(part)))
      return variable;
    throw new RotorError('manifest.invalid', {
      what: `store path ${JSON.stringify(path.slice(0, 500))} is not usable in Conjur`,
      hint: 'Use letters, digits, "_", "-", ".", "@", "+" and "&" in parts split by "/".',
    });
  }

  /** Identifiers are URL-encoded as a whole, slashes too. */
  #resource(variable: string): string {
    return `${urlPart(this.#spec.account)}/variable/${urlPart(variable)}`;
  }

  async #request(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const answer = await this.#send(call, method, path, body);
    if (answer.status !== 401) return answer;
    // The token has ended before its time, or Conjur's key was changed; a refused request did nothing.
    this.#login.forget();
    return this.#send(call, method, path, body);
  }

  async #send(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    return httpRequest(call.deadline, {
      url: `${this.#spec.url.replace(/\/$/, '')}/${path}`,
      method,
      headers: {
        authorization: await this.#login.header(call),
        ...(body === undefined ? {} : { 'content-type': 'application/octet-stream' }),
      },
      ...(body === undefined ? {} : { body }),
      maxBytes: MAX_ANSWER,
    });
  }
}
