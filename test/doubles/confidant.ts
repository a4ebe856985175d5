import { randomUUID } from 'node:crypto';
import { type DoubleAnswer, type DoubleRequest, HttpDouble, objectIn } from './http-double.ts';

type Pairs = Record<string, unknown>;

interface Kept {
  id: string;
  name: string;
  credential_pairs: Pairs;
  metadata: object;
  enabled: boolean;
  documentation: string | null;
  revision: number;
  modified_date: string;
}

/**
 * A double of Confidant's credentials API, written to confidant/routes/credentials.py, confidant/authnz and
 * confidant/services/credentialmanager.py of Lyft's repository. It is not Confidant, and has no KMS: a token is a word.
 */
export class ConfidantDouble extends HttpDouble {
  readonly username = '2/service/rotor-test';
  /** Tokens that are taken beside the word, with who they are from. */
  readonly tokens = new Map<string, string>();
  readonly token: string;
  readonly credentials: Kept[] = [];
  /** Every revision that there was, with its pairs. */
  readonly archive: { readonly id: string; readonly pairs: Pairs }[] = [];
  /** What the ACL grants. */
  readonly acl = new Set(['list', 'create', 'metadata', 'get', 'update']);
  maintenance = false;
  enforcesDocumentation = false;
  /** Keys of other credentials in a service that ours are mapped to. */
  readonly taken = new Set<string>();
  /** Credentials in one page of the list, whatever limit is asked for. */
  pageSize = 500;

  constructor(token: string) {
    super();
    this.token = token;
  }

  find(name: string): Kept | undefined {
    return this.credentials.find((each) => each.name === name);
  }

  /** As somebody else would by hand. */
  put(name: string, pairs: Pairs): Kept {
    const known = this.find(name);
    const kept: Kept = known ?? {
      id: randomUUID().replaceAll('-', ''),
      name,
      credential_pairs: {},
      metadata: {},
      enabled: true,
      documentation: 'made by hand',
      revision: 0,
      modified_date: '',
    };
    if (!known) this.credentials.push(kept);
    return this.#revise(kept, pairs);
  }

  protected usual({ method, path, query, headers, body }: DoubleRequest): DoubleAnswer {
    const { 'x-auth-token': token, 'x-auth-from': from } = headers;
    if (token === undefined || from === undefined) return { status: 401, text: '<h1>Unauthorized</h1>' };
    const known = token === this.token ? this.username : this.tokens.get(String(token));
    if (known === undefined || from !== known) return { status: 403, text: '<h1>Forbidden</h1>' };
    const [, id] = /^\/v1\/credentials(?:\/([^/]+))?$/.exec(path) ?? [];
    if (!path.startsWith('/v1/credentials')) return { status: 404, text: '<h1>Not Found</h1>' };
    if (method === 'GET') return id === undefined ? this.#list(query) : this.#get(id);
    if (this.maintenance) return says(403, 'Server in maintenance mode.');
    const sent = objectIn(body) ?? {};
    if (method === 'POST' && id === undefined) return this.#create(sent);
    return method === 'PUT' && id !== undefined ? this.#update(id, sent) : { status: 405 };
  }

  #list(query: URLSearchParams): DoubleAnswer {
    if (!this.acl.has('list')) return says(403, 'rotor does not have access to list credentials');
    const from = Number(Buffer.from(query.get('page') ?? '', 'base64').toString() || 0);
    const size = query.get('limit') === null ? Number.POSITIVE_INFINITY : this.pageSize;
    const page = this.credentials.slice(from, from + size);
    const more = from + size < this.credentials.length;
    return {
      status: 200,
      body: {
        credentials: page.map((each) => ({
          ...each,
          credential_keys: [],
          credential_pairs: {},
          permissions: {},
        })),
        next_page: more ? Buffer.from(String(from + size)).toString('base64') : null,
      },
    };
  }

  #get(id: string): DoubleAnswer {
    if (!this.acl.has('metadata')) return says(403, `rotor does not have access to credential ${id}`);
    const kept = this.credentials.find((each) => each.id === id);
    return kept ? this.#shown(kept, this.acl.has('get')) : { status: 404, body: {} };
  }

  #create(sent: Record<string, unknown>): DoubleAnswer {
    if (!this.acl.has('create')) return says(403, 'rotor does not have access to create credentials');
    if (!sent.documentation && this.enforcesDocumentation)
      return says(400, 'documentation is a required field');
    const wrong = this.#wrong(sent.credential_pairs);
    if (!sent.credential_pairs) return says(400, 'credential_pairs is a required field');
    if (wrong) return wrong;
    const same = this.find(String(sent.name));
    if (same) return says(409, `Name already exists. See id: ${same.id}`);
    const kept = this.put(String(sent.name), small(sent.credential_pairs as Pairs));
    kept.documentation = (sent.documentation as string | undefined) ?? null;
    kept.enabled = sent.enabled === true;
    return this.#shown(kept, true);
  }

  #update(id: string, sent: Record<string, unknown>): DoubleAnswer {
    if (!this.acl.has('update')) return says(403, `rotor does not have access to update credential ${id}`);
    const kept = this.credentials.find((each) => each.id === id);
    if (!kept) return says(404, 'Credential not found.');
    const other = sent.name === kept.name ? undefined : this.find(String(sent.name));
    if (other) return says(409, `Name already exists. See id: ${other.id}`);
    if (!(sent.documentation ?? kept.documentation) && this.enforcesDocumentation)
      return says(400, 'documentation is a required field');
    const pairs = small(sent.credential_pairs as Pairs);
    const wrong = this.#wrong(pairs);
    if (wrong) return wrong;
    return this.#shown(this.#revise(kept, pairs), true);
  }

  #wrong(pairs: unknown): DoubleAnswer | undefined {
    const entries = Object.entries((pairs ?? {}) as Pairs);
    if (pairs && entries.length === 0) return says(400, 'Credential Pairs cannot be empty.');
    if (entries.some(([, value]) => typeof value === 'object' && value !== null))
      return says(400, 'credential pairs must be key: value');
    if (entries.some(([key]) => /\s/.test(key)))
      return says(400, 'credential key must not contain whitespace');
    const conflict = entries.some(([key]) => this.taken.has(key.toLowerCase()));
    return conflict ? says(400, 'Conflicting key pairs in mapped service.') : undefined;
  }

  #revise(kept: Kept, pairs: Pairs): Kept {
    kept.revision += 1;
    kept.credential_pairs = pairs;
    kept.modified_date = new Date().toISOString();
    this.archive.push({ id: `${kept.id}-${kept.revision}`, pairs });
    return kept;
  }

  #shown(kept: Kept, pairs: boolean): DoubleAnswer {
    const permissions = { metadata: true, get: this.acl.has('get'), update: this.acl.has('update') };
    const shown = pairs ? kept.credential_pairs : {};
    return {
      status: 200,
      body: {
        ...kept,
        credential_keys: Object.keys(kept.credential_pairs),
        credential_pairs: shown,
        permissions,
      },
    };
  }
}

function small(pairs: Pairs): Pairs {
  return Object.fromEntries(Object.entries(pairs).map(([key, value]) => [key.toLowerCase(), value]));
}

function says(status: number, error: string): DoubleAnswer {
  return { status, body: { error } };
}
