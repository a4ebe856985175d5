import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import type { StagelessSession, Standing } from '../stageless.ts';
import type { StoreReport } from '../store.ts';
import { canonicalPairs, documentOf, pairsOf } from './pairs.ts';
import type { ConfidantSpec } from './spec.ts';
import { ConfidantLogin } from './token.ts';
import { notThere, refused, unexpectedStatus } from './troubles.ts';

/** One page of names has no secrets in it; DynamoDB keeps 400 kB in an item. */
const MAX_ANSWER = 8 * 1024 * 1024;
const PAGE = 500;
const ID = /^[0-9a-f]{32}$/;

/** What Confidant says of a credential, as far as Rotor reads it. */
interface Credential {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly revision: number;
  readonly modified_date?: string;
  readonly credential_pairs?: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, boolean>>;
}

/**
 * Credentials of Confidant: revisions, and no stages. Its API has no precondition. Source: confidant/routes/credentials.py
 * and confidant/authnz of Lyft's repository, which its API documentation is made of.
 */
export class ConfidantSession implements StagelessSession {
  readonly #spec: ConfidantSpec;
  readonly #login: ConfidantLogin;
  /** Ids by name; Confidant never gives a name's id away to another. */
  readonly #ids = new Map<string, string>();

  constructor(spec: ConfidantSpec) {
    this.#spec = spec;
    this.#login = new ConfidantLogin(spec);
  }

  async look(call: Call, path: string): Promise<Standing | undefined> {
    const found = await this.#find(call, path);
    if (!found) return undefined;
    if (!found.credential_pairs || found.permissions?.get === false) {
      throw new RotorError('store.permission-denied', {
        what: `Confidant shows the credential "${found.name}" without its pairs: its ACL doesn't grant "get"`,
        hint: "Grant it in Confidant's ACL_MODULE.",
      });
    }
    const { pair } = this.#spec;
    const pairs = canonicalPairs(found.credential_pairs);
    return {
      document: documentOf(found.credential_pairs, pair),
      mark: pairs,
      ...(found.modified_date ? { since: new Date(found.modified_date) } : {}),
      is: (_, document) => canonicalPairs(JSON.parse(pairsOf(document, pair).reveal())).equals(pairs),
    };
  }

  async write(
    call: Call,
    path: string,
    { document }: { readonly versionId: string; readonly document: SecretValue },
  ): Promise<void> {
    const found = await this.#find(call, path);
    if (!found && (!this.#spec.create || ID.test(path))) throw notThere(nameOf(this.#spec, path));
    const name = found?.name ?? nameOf(this.#spec, path);
    const pairs = pairsOf(document, this.#spec.pair).reveal();
    const rest = found ? '' : `,"metadata":{},"enabled":true,"documentation":${JSON.stringify(MADE)}`;
    const body = SecretValue.of(`{"name":${JSON.stringify(name)},"credential_pairs":${pairs}${rest}}`);
    const [method, place] = found ? ['PUT', `/${found.id}`] : ['POST', ''];
    const answer = await this.#send(call, method, place, body);
    body.destroy();
    if (answer.status === 401 || answer.status === 403) throw refused(method, `"${name}"`, answer);
    if (answer.status === 404) throw notThere(name);
    if (answer.status !== 200) throw unexpectedStatus(`${method} "${name}"`, answer);
    // The list of names may lag behind (an index of DynamoDB); what was just made is found by its id.
    if (!found) this.#ids.set(name, (JSON.parse(answer.body) as Credential).id);
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const found = await this.#find(call, path);
    if (!found) {
      if (this.#spec.create && !ID.test(path)) return { warnings: [] };
      throw notThere(nameOf(this.#spec, path));
    }
    for (const permission of ['get', 'update']) {
      if (found.permissions?.[permission] !== false) continue;
      throw new RotorError('store.permission-denied', {
        what: `Confidant's ACL doesn't grant "${permission}" on the credential "${found.name}"`,
        hint: "Grant it in Confidant's ACL_MODULE.",
      });
    }
    const disabled = `Confidant: the credential "${found.name}" is disabled, so that services don't get it`;
    return { warnings: found.enabled ? [] : [disabled] };
  }

  async close(): Promise<void> {
    this.#ids.clear();
    this.#login.forget();
  }

  /** A path that looks like an id is one, so that a token without the right to list can work. */
  async #find(call: Call, path: string): Promise<Credential | undefined> {
    if (ID.test(path)) return this.#get(call, path);
    const name = nameOf(this.#spec, path);
    const known = this.#ids.get(name);
    const same = known === undefined ? undefined : await this.#get(call, known);
    if (same?.name === name) return same;
    const id = await this.#idOf(call, name);
    if (id === undefined) return undefined;
    this.#ids.set(name, id);
    return this.#get(call, id);
  }

  async #get(call: Call, id: string): Promise<Credential | undefined> {
    const answer = await this.#send(call, 'GET', `/${id}`);
    if (answer.status === 404) return undefined;
    if (answer.status === 401 || answer.status === 403) throw refused('GET', id, answer);
    if (answer.status !== 200) throw unexpectedStatus(`GET ${id}`, answer);
    return JSON.parse(answer.body) as Credential;
  }

  /** Asks for all names, page by page: Confidant has no other way to find one. */
  async #idOf(call: Call, name: string): Promise<string | undefined> {
    const ids: string[] = [];
    for (let page: string | undefined; ; ) {
      const query = new URLSearchParams({ limit: String(PAGE), ...(page === undefined ? {} : { page }) });
      const answer = await this.#send(call, 'GET', `?${query}`);
      if (answer.status === 401 || answer.status === 403)
        throw refused('GET list', 'the list of credentials', answer);
      if (answer.status !== 200) throw unexpectedStatus('GET credentials', answer);
      const { credentials, next_page } = JSON.parse(answer.body) as {
        credentials: readonly Credential[];
        next_page?: string | null;
      };
      ids.push(...credentials.filter((each) => each.name === name).map(({ id }) => id));
      if (!next_page) break;
      page = next_page;
    }
    if (ids.length > 1) {
      throw new RotorError('store.conflict', {
        what: `Confidant has ${ids.length} credentials called "${name}": ${ids.join(', ')}`,
        hint: 'Give them different names, or use the id as the store path.',
      });
    }
    return ids[0];
  }

  async #send(call: Call, method: string, place: string, body?: SecretValue): Promise<HttpAnswer> {
    const { username, token } = await this.#login.token(call);
    return httpRequest(call.deadline, {
      url: `${this.#spec.url.replace(/\/$/, '')}/v1/credentials${place}`,
      method,
      headers: {
        'x-auth-from': username,
        'x-auth-token': token,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
      maxBytes: MAX_ANSWER,
    });
  }
}

const MADE =
  'Rotated by Rotor. Its policy there says who uses it; what is changed here by hand is taken over.';

/** What Confidant calls the credential of a store path; a path that looks like an id is one. */
export function nameOf({ prefix }: Pick<ConfidantSpec, 'prefix'>, path: string): string {
  return ID.test(path) ? path : `${prefix}${path}`;
}
