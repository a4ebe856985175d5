import type { Call } from '../call.ts';
import { RotorError } from '../errors.ts';
import { type HttpAnswer, httpRequest } from '../http.ts';
import { Deadline } from '../retry.ts';
import { SecretValue } from '../secret.ts';
import { secretIn } from '../secret-file.ts';
import { urlPath } from '../url-path.ts';
import type { VaultServer } from './server.ts';
import { type Side, unexpectedStatus, WORDS } from './troubles.ts';

/** A token that Vault gave, and when it should be replaced (monotonic ms); never, when undefined. */
interface Held {
  readonly token: SecretValue;
  readonly until: number | undefined;
  /** Whether a login of ours made it, so that we take it away again. */
  readonly ours: boolean;
}

/** Keeps a token of Vault at hand: logs in when needed, and again, or renews it, before it ends. */
export class VaultLogin {
  readonly #spec: VaultServer;
  readonly #side: Side;
  readonly #whose: string;
  #held: Held | undefined;

  constructor(spec: VaultServer, side: Side) {
    this.#spec = spec;
    this.#side = side;
    this.#whose = `auth of the Vault ${side}`;
  }

  /** @throws RotorError `reference.unresolved`, and what {@link WORDS} name as refused and unavailable */
  async token(call: Call): Promise<SecretValue> {
    const held = this.#held;
    if (held && (held.until === undefined || call.clock.monotonicMs() < held.until)) return held.token;
    this.#held = await this.#enter(call);
    return this.#held.token;
  }

  /** After Vault refused: the token may have been revoked or replaced, and only a fresh look tells. */
  forget(): void {
    this.#held = undefined;
  }

  /** Revokes the token of an own login, so that none piles up in Vault. */
  async end(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (!held?.ours) return;
    await this.#post(Deadline.after(5_000), 'auth/token/revoke-self', {}, held.token).catch(() => undefined);
    held.token.destroy();
  }

  async #enter(call: Call): Promise<Held> {
    const { auth } = this.#spec;
    if (auth.token) return this.#fromFile(call, auth.token.file);
    if (auth.kubernetes) {
      const { mount, role, tokenFile } = auth.kubernetes;
      return this.#login(call, mount, { role, jwt: (await secretIn(tokenFile, this.#whose)).reveal() });
    }
    if (auth.appRole) {
      const { mount, roleId, secretIdFrom } = auth.appRole;
      const secret_id = (await secretIn(secretIdFrom.file, this.#whose)).reveal();
      return this.#login(call, mount, { role_id: roleId, secret_id });
    }
    if (auth.jwt) {
      const { mount, role, from } = auth.jwt;
      return this.#login(call, mount, { role, jwt: (await secretIn(from.file, this.#whose)).reveal() });
    }
    throw new RotorError('internal.bug', { what: 'a Vault without a way to log in' });
  }

  /** `POST auth/{mount}/login`, as Vault's pages on AppRole, JWT and Kubernetes auth have it. */
  async #login(call: Call, mount: string, proof: object): Promise<Held> {
    const path = `auth/${mount}/login`;
    const answer = await this.#post(call.deadline, path, proof);
    if (answer.status === 400 || answer.status === 403) {
      throw new RotorError(WORDS[this.#side].refused, {
        what: `Vault refuses the login at ${path} (status ${answer.status})`,
        hint: `Check role, mount and the referenced token or secret id in \`auth\` of the ${WORDS[this.#side].manifest}.`,
      });
    }
    if (answer.status !== 200) throw unexpectedStatus(this.#side, `POST ${path}`, answer);
    const { auth } = JSON.parse(answer.body) as {
      auth: { client_token: string; lease_duration: number };
    };
    return { token: SecretValue.of(auth.client_token), until: later(call, auth.lease_duration), ours: true };
  }

  /** A token that others made: renewed where it can be, read again where it can't. */
  async #fromFile(call: Call, file: string): Promise<Held> {
    const token = await secretIn(file, this.#whose);
    const answer = await this.#post(call.deadline, 'auth/token/renew-self', {}, token);
    if (answer.status === 200) {
      const { auth } = JSON.parse(answer.body) as { auth?: { lease_duration?: number } };
      return { token, until: later(call, auth?.lease_duration ?? 0), ours: false };
    }
    // Root and batch tokens can't be renewed, and a policy may not allow it: what they may do shows when used.
    if (answer.status === 400 || answer.status === 403) return { token, until: undefined, ours: false };
    throw unexpectedStatus(this.#side, 'POST auth/token/renew-self', answer);
  }

  #post(deadline: Deadline, path: string, body: object, token?: SecretValue): Promise<HttpAnswer> {
    const { address, namespace } = this.#spec;
    return httpRequest(deadline, {
      url: `${address.replace(/\/$/, '')}/v1/${urlPath(path)}`,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(token === undefined ? {} : { 'x-vault-token': token }),
      },
      body: SecretValue.of(JSON.stringify(body)),
    });
  }
}

/** Two thirds into the lease: late enough to be rare, early enough to fail twice. A lease of 0 doesn't end. */
function later(call: Call, leaseSeconds: number): number | undefined {
  return leaseSeconds > 0 ? call.clock.monotonicMs() + (leaseSeconds * 1000 * 2) / 3 : undefined;
}
