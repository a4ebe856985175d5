import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretIn } from '../../core/secret-file.ts';
import { urlPart } from '../../core/url-path.ts';
import type { ConjurSpec } from './spec.ts';
import { unexpectedStatus } from './troubles.ts';

const WHOSE = 'auth of the Conjur store';

/** Access tokens end after 8 minutes (Conjur's page "Authenticate"); a new one is asked for a good while before. */
const RENEW_MS = 6 * 60_000;

/** A token in the form of the Authorization header, and when it should be replaced (monotonic ms). */
interface Held {
  readonly header: SecretValue;
  readonly until: number;
}

/** Keeps an access token of Conjur at hand. */
export class ConjurLogin {
  readonly #spec: ConjurSpec;
  #held: Held | undefined;

  constructor(spec: ConjurSpec) {
    this.#spec = spec;
  }

  /** @throws RotorError `reference.unresolved`, `store.refused`, `store.unavailable` */
  async header(call: Call): Promise<SecretValue> {
    if (this.#held && call.clock.monotonicMs() < this.#held.until) return this.#held.header;
    this.forget();
    const { accessToken } = this.#spec.auth;
    // Who keeps the file fresh knows when; it is read anew every time.
    if (accessToken) return headerOf((await secretIn(accessToken.file, WHOSE)).reveal());
    const header = headerOf(await this.#authenticate(call));
    this.#held = { header, until: call.clock.monotonicMs() + RENEW_MS };
    return header;
  }

  /** After Conjur refused: only a fresh token tells whether it was the token's fault. */
  forget(): void {
    this.#held?.header.destroy();
    this.#held = undefined;
  }

  /** `POST /authn/{account}/{login}/authenticate`, or `POST /authn-jwt/{service-id}/{account}[/{host}]/authenticate`. */
  async #authenticate(call: Call): Promise<string> {
    const { url, account, auth } = this.#spec;
    const parts = auth.jwt
      ? ['authn-jwt', auth.jwt.serviceId, account, ...(auth.jwt.host === undefined ? [] : [auth.jwt.host])]
      : ['authn', account, auth.apiKey?.login ?? ''];
    const path = `${parts.map(urlPart).join('/')}/authenticate`;
    const answer = await httpRequest(call.deadline, {
      url: `${url.replace(/\/$/, '')}/${path}`,
      method: 'POST',
      headers: {
        'accept-encoding': 'base64',
        'content-type': auth.jwt ? 'application/x-www-form-urlencoded' : 'text/plain',
      },
      body: await this.#proof(),
    });
    if (answer.status === 200) return answer.body;
    if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
      throw new RotorError('store.refused', {
        what: `Conjur refuses the login at ${path} (status ${answer.status})`,
        hint: "Check login, account, service id and the referenced key or token in `auth` of the Store; Conjur's log says what it misses.",
      });
    }
    throw unexpectedStatus(`POST ${path}`, answer);
  }

  async #proof(): Promise<SecretValue> {
    const { jwt, apiKey } = this.#spec.auth;
    if (jwt) {
      const token = await secretIn(jwt.tokenFile, WHOSE);
      return SecretValue.of(`jwt=${encodeURIComponent(token.reveal())}`);
    }
    return secretIn(apiKey?.from.file ?? '', WHOSE);
  }
}

/** Base64 without line breaks, as the header takes it; a server that doesn't encode gives the JSON itself. */
function headerOf(token: string): SecretValue {
  const text = token.trim();
  const encoded = text.startsWith('{') ? Buffer.from(text).toString('base64') : text.replaceAll(/\s/g, '');
  return SecretValue.of(`Token token="${encoded}"`);
}
