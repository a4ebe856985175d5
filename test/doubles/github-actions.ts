import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import sodium from 'libsodium-wrappers';
import { type DoubleAnswer, type DoubleRequest, HttpDouble, objectIn } from './http-double.ts';

interface HeldSecret {
  /** Opened with the private key, as a workflow would find it. */
  value: string;
  created_at: string;
  updated_at: string;
  visibility?: string;
  selected?: readonly number[];
}

await sodium.ready;

/**
 * A double of GitHub's REST API as far as secrets and variables of Actions and secrets of Dependabot go, in repositories,
 * environments and organizations, with tokens of people and of a GitHub App's installation; written to docs.github.com. It
 * opens the sealed boxes that it is sent. It is not GitHub.
 */
export class GithubActionsDouble extends HttpDouble {
  /** By path, such as `/repos/acme/shop/actions/secrets/DB`. */
  readonly secrets = new Map<string, HeldSecret>();
  /** By path, such as `/repos/acme/shop/actions/variables/DB_ROTOR`. */
  readonly variables = new Map<string, string>();
  readonly repositories = new Map([
    ['acme/shop', { id: 1, archived: false }],
    ['acme/web', { id: 2, archived: false }],
  ]);
  readonly environments = new Set(['production']);
  /** What the token may do; nothing else is written. */
  readonly permissions: Record<string, string> = {
    metadata: 'read',
    secrets: 'write',
    actions_variables: 'write',
    environments: 'write',
    dependabot_secrets: 'write',
    organization_secrets: 'write',
    organization_dependabot_secrets: 'write',
    organization_actions_variables: 'write',
  };
  /** The app whose JWT is taken, and its tokens that are still good. */
  app: { readonly id: string; readonly key: KeyObject } | undefined;
  readonly installed = new Set<string>();
  /** Its clock, in seconds: it stands still unless somebody moves it. */
  now = 1_800_000_000;
  readonly #token: string;
  #pair = sodium.crypto_box_keypair();
  #keys = 1;

  constructor(token: string) {
    super();
    this.#token = token;
  }

  /** What a person does with the settings page. */
  edit(path: string, value: string): void {
    this.now += 2;
    this.#keep(path, { value });
  }

  /** As GitHub does now and then. */
  changeKey(): void {
    this.#pair = sodium.crypto_box_keypair();
    this.#keys += 1;
  }

  protected usual(request: DoubleRequest): DoubleAnswer {
    const { method, path, headers } = request;
    if (!headers['user-agent']) return says(403, 'Request forbidden by administrative rules.');
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    if (/^\/app\/installations\/7\/access_tokens$/.test(path)) return this.#install(method, bearer);
    if (bearer !== this.#token && !this.installed.has(bearer)) return says(401, 'Bad credentials');
    const [, owner, repo, rest = ''] = /^\/repos\/([^/]+)\/([^/]+)(\/.*)?$/.exec(path) ?? [];
    if (owner !== undefined) {
      const known = this.repositories.get(`${owner}/${repo}`);
      if (!known) return says(404, 'Not Found');
      if (rest === '') return { status: 200, body: { ...known, full_name: `${owner}/${repo}` } };
      if (known.archived && method !== 'GET') return says(403, 'Repository was archived so is read-only.');
      const [, environment] = /^\/environments\/([^/]+)\//.exec(rest) ?? [];
      if (environment !== undefined && !this.environments.has(environment)) return says(404, 'Not Found');
    } else if (!path.startsWith('/orgs/acme/')) return says(404, 'Not Found');
    return this.#kept(request);
  }

  #kept({ method, path, body }: DoubleRequest): DoubleAnswer {
    const [, base = '', kind, , name] = /^(.*)\/(secrets|variables)(\/([^/]+))?$/.exec(path) ?? [];
    if (kind === undefined) return says(404, 'Not Found');
    const level = this.permissions[permissionOf(base, kind)];
    if (level !== 'write' && !(level === 'read' && method === 'GET'))
      return says(403, 'Resource not accessible by personal access token');
    const sent = objectIn(body) ?? {};
    if (kind === 'variables') return this.#variable(method, path, name, sent);
    if (name === 'public-key') {
      const key = Buffer.from(this.#pair.publicKey).toString('base64');
      return { status: 200, body: { key_id: String(this.#keys), key } };
    }
    const held = this.secrets.get(path);
    if (method === 'GET') {
      if (!held) return says(404, 'Not Found');
      const { value: _, selected: __, ...shown } = held;
      return { status: 200, body: { name, ...shown } };
    }
    if (method !== 'PUT') return says(404, 'Not Found');
    return this.#put(path, sent);
  }

  #put(path: string, sent: Record<string, unknown>): DoubleAnswer {
    const { encrypted_value: box, key_id: key, visibility, selected_repository_ids: selected } = sent;
    if (typeof box !== 'string' || typeof key !== 'string') return says(422, 'Invalid request.');
    if (key !== String(this.#keys)) return says(422, 'The key_id is not that of the current key.');
    if (path.startsWith('/orgs/') && !['all', 'private', 'selected'].includes(String(visibility)))
      return says(422, 'Invalid request. "visibility" wasn\'t supplied.');
    let value: string;
    try {
      const { publicKey, privateKey } = this.#pair;
      value = Buffer.from(
        sodium.crypto_box_seal_open(Buffer.from(box, 'base64'), publicKey, privateKey),
      ).toString('utf8');
    } catch {
      return says(422, 'Bad request - encrypted_value is not a sealed box.');
    }
    if (Buffer.byteLength(value) > 48 * 1024) return says(422, 'The secret is too large.');
    const status = this.secrets.has(path) ? 204 : 201;
    const visible = typeof visibility === 'string' ? { visibility } : {};
    this.#keep(path, { value, ...visible, ...(Array.isArray(selected) ? { selected } : {}) });
    return { status, ...(status === 201 ? { body: {} } : {}) };
  }

  #keep(path: string, changed: Pick<HeldSecret, 'value'> & Partial<HeldSecret>): void {
    const at = new Date(this.now * 1_000).toISOString().replace('.000', '');
    const before = this.secrets.get(path);
    this.secrets.set(path, { created_at: at, ...before, ...changed, updated_at: at });
  }

  #variable(
    method: string,
    path: string,
    name: string | undefined,
    sent: Record<string, unknown>,
  ): DoubleAnswer {
    const value = String(sent.value ?? '');
    if (name === undefined) {
      if (method !== 'POST') return says(404, 'Not Found');
      const made = `${path}/${String(sent.name)}`;
      if (path.startsWith('/orgs/') && sent.visibility === undefined) return says(422, 'Invalid request.');
      if (this.variables.has(made)) return says(409, 'Already exists - Variable already exists');
      this.variables.set(made, value);
      return { status: 201, body: {} };
    }
    const held = this.variables.get(path);
    if (held === undefined) return says(404, 'Not Found');
    if (method === 'GET') return { status: 200, body: { name, value: held } };
    this.variables.set(path, value);
    return { status: 204 };
  }

  #install(method: string, jwt: string): DoubleAnswer {
    const [head = '', payload = '', signature = ''] = jwt.split('.');
    const claims = objectIn(Buffer.from(payload, 'base64url').toString('utf8'));
    const signed =
      this.app &&
      verify(
        'sha256',
        Buffer.from(`${head}.${payload}`),
        createPublicKey(this.app.key),
        Buffer.from(signature, 'base64url'),
      );
    const now = Date.now() / 1_000;
    const inTime =
      Number(claims?.iat) <= now && Number(claims?.exp) > now && Number(claims?.exp) <= now + 600;
    if (method !== 'POST' || !signed || claims?.iss !== this.app?.id || !inTime)
      return says(401, 'A JSON web token could not be decoded');
    const token = `ghs_${this.installed.size + 1}`;
    this.installed.add(token);
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    return { status: 201, body: { token, expires_at, permissions: this.permissions } };
  }
}

/** As GitHub names it among the permissions of an installation. */
function permissionOf(base: string, kind: string): string {
  if (base.includes('/environments/')) return 'environments';
  const own =
    kind === 'variables'
      ? 'actions_variables'
      : base.endsWith('/dependabot')
        ? 'dependabot_secrets'
        : 'secrets';
  return base.startsWith('/orgs/') ? `organization_${own}` : own;
}

function says(status: number, message: string): DoubleAnswer {
  return {
    status,
    body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status) },
  };
}
