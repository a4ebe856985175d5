import { type DoubleAnswer, type DoubleRequest, HttpDouble } from './http-double.ts';

interface Kept {
  xml: string;
}

/** Elements of which Jenkins shows nothing, for kinds of secrets. */
const SECRETS = ['password', 'secret', 'passphrase', 'privateKey', 'secretBytes'];

/**
 * A double of Jenkins's Credentials plugin as far as its REST API for one system store and one folder's goes, written to its
 * user guide (docs/user.adoc, "REST API") and its permissions. It is not Jenkins: it neither encrypts nor knows any class.
 */
export class JenkinsDouble extends HttpDouble {
  readonly user: string;
  readonly token: string;
  /** By `store/domain/id`; `store` is `system` or the folder's path. */
  readonly credentials = new Map<string, Kept>();
  readonly allowed = new Set(['View', 'Create', 'Update']);
  /** Whether what was given is a password, which needs a crumb. */
  byPassword = false;

  constructor(user: string, token: string) {
    super();
    this.user = user;
    this.token = token;
  }

  /** Text of a leaf of a credential, as a job gets it; files decoded. */
  text(place: string, name: string): string | undefined {
    const text = leaf(this.credentials.get(place)?.xml ?? '', name);
    return name === 'secretBytes' && text !== undefined ? Buffer.from(text, 'base64').toString() : text;
  }

  protected usual({ method, path, headers, body }: DoubleRequest): DoubleAnswer {
    const given = Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
    if (headers.authorization === undefined) return { status: 403 };
    if (given !== `${this.user}:${this.token}`) return { status: 401 };
    const [, jobs = '', kind, domain, rest = ''] =
      /^\/((?:job\/[^/]+\/)*)credentials\/store\/(system|folder)\/domain\/([^/]+)\/(.*)$/.exec(path) ?? [];
    const folder = decodeURIComponent(jobs.replaceAll('job/', '').replace(/\/$/, ''));
    const known = kind === 'system' ? folder === '' : folder === 'shop/orders';
    if (!known || !['_', 'ci'].includes(domain ?? '')) return { status: 404 };
    const place = `${kind === 'system' ? 'system' : folder}/${domain}`;
    if (method === 'POST' && this.byPassword)
      return { status: 403, text: 'No valid crumb was included in the request' };
    if (rest === 'api/json') return this.#with('View', () => ({ status: 200, body: { urlName: domain } }));
    if (rest === 'createCredentials' && method === 'POST')
      return this.#with('Create', () => this.#create(place, headers['content-type'], body));
    const [, id] = /^credential\/([^/]+)\/config\.xml$/.exec(rest) ?? [];
    const found = id === undefined ? undefined : this.credentials.get(`${place}/${id}`);
    if (!found) return { status: 404 };
    if (method === 'GET') return this.#with('View', () => xmlAnswer(redacted(found.xml)));
    if (method !== 'POST') return { status: 400 };
    return this.#with('Update', () => {
      if (!wellFormed(body)) return { status: 500 };
      found.xml = body;
      return { status: 200 };
    });
  }

  #create(place: string, type: string | undefined, body: string): DoubleAnswer {
    const id = leaf(body, 'id');
    if (!type?.startsWith('application/xml') || !wellFormed(body) || id === undefined) return { status: 500 };
    const key = `${place}/${id}`;
    if (this.credentials.has(key)) return { status: 409 };
    this.credentials.set(key, { xml: body });
    return { status: 200 };
  }

  #with(permission: string, act: () => DoubleAnswer): DoubleAnswer {
    if (this.allowed.has(permission)) return act();
    return {
      status: 403,
      headers: {
        'x-required-permission': `com.cloudbees.plugins.credentials.CredentialsProvider.${permission}`,
      },
      text: `${this.user} is missing the Credentials/${permission} permission`,
    };
  }
}

/** The guide: "The secret portion of the credentials instance will always be replaced with `<secret-redacted/>`". */
function redacted(xml: string): string {
  return SECRETS.reduce(
    (text, name) =>
      text.replace(new RegExp(`<${name}>[^<]*</${name}>`), `<${name}>\n    <secret-redacted/>\n  </${name}>`),
    xml,
  );
}

function leaf(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`)
    .exec(xml)?.[1]
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#13;', '\r')
    .replaceAll('&amp;', '&');
}

/** Every element closed in order, no bare ampersand. */
function wellFormed(xml: string): boolean {
  const open: string[] = [];
  for (const [, close, name, empty] of xml.matchAll(/<(\/?)([\w.$-]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (close) {
      if (open.pop() !== name) return false;
    } else if (!empty) open.push(name ?? '');
  }
  return open.length === 0 && !/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/i.test(xml);
}

function xmlAnswer(xml: string): DoubleAnswer {
  return { status: 200, headers: { 'content-type': 'application/xml' }, text: xml };
}
