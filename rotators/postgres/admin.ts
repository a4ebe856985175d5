import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import {
  connectPrimary,
  endConnection,
  isLoginRefusal,
  type Login,
  resolvePassword,
  type Server,
  type Target,
} from './connection.ts';
import { postgresError } from './errors.ts';
import type { ProviderSpec } from './spec.ts';

/** The admin's connection: opened when first needed, kept for the whole turn, opened anew when it broke. */
export class Admin {
  readonly #target: Target;
  readonly #spec: ProviderSpec['admin'];
  #server: Promise<Server> | undefined;

  constructor(target: Target, spec: ProviderSpec['admin']) {
    this.#target = target;
    this.#spec = spec;
  }

  get configured(): boolean {
    return this.#spec !== undefined;
  }

  /** @throws RotorError `provider.refused-admin`, `reference.unresolved`, or what connecting throws */
  async server(call: Call): Promise<Server> {
    const spec = this.#spec;
    if (!spec) throw new RotorError('provider.refused-admin', { what: 'the provider has no `admin`' });
    return this.use(call, async () => ({
      username: spec.username,
      password: await resolvePassword(spec.passwordFrom),
    }));
  }

  /** The connection kept here, opened with `login` when there is none. */
  async use(call: Call, login: () => Promise<Login>): Promise<Server> {
    this.#server ??= this.#open(call, login);
    return this.#server;
  }

  async #open(call: Call, login: () => Promise<Login>): Promise<Server> {
    const forget = () => {
      this.#server = undefined;
    };
    try {
      const known = await login();
      const server = await connectPrimary(this.#target, known, call).catch((error) => {
        throw postgresError(
          error,
          'connecting',
          `connecting to ${this.#target.database} as ${known.username}`,
        );
      });
      server.client.once('end', forget);
      server.client.once('error', forget);
      return server;
    } catch (error) {
      forget();
      throw error;
    }
  }

  async close(): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    this.#server = undefined;
    if (server) await endConnection(server.client);
  }
}

export function loginOf(credential: Credential): Login {
  const password = credential.secrets.password;
  if (!password)
    throw new RotorError('credential.malformed', { what: `version ${credential.versionId} has no password` });
  return { username: credential.identity, password };
}

/**
 * Logs in with a credential for real, on a connection of its own, at the primary.
 * @throws RotorError when the server couldn't be asked: a rejection by pg_hba.conf is no proof that a password is dead
 */
export async function attemptLogin(
  target: Target,
  call: Call,
  credential: Credential,
): Promise<'accepted' | 'refused'> {
  const doing = `trying the credential of ${credential.identity}`;
  try {
    const server = await connectPrimary(target, loginOf(credential), call);
    await server.client.end();
    return 'accepted';
  } catch (error) {
    if (isLoginRefusal(error)) return 'refused';
    const problem = postgresError(error, 'connecting', doing);
    if (problem.code !== 'provider.refused-admin') throw problem;
    throw new RotorError('provider.unsupported', {
      what: `${doing}: the server rejects the connection before it looks at the password`,
      hint: 'Let the worker connect as this role in pg_hba.conf, so that Rotor can try the credential.',
      cause: error,
    });
  }
}

/** The document that consumers get, in the shape of AWS's secrets; several hosts are joined as libpq takes them. */
export function fieldsOf(target: Target, username: string): Record<string, string> {
  return {
    engine: 'postgres',
    host: target.hosts.map(({ host }) => host).join(','),
    port: target.hosts.map(({ port }) => port).join(','),
    dbname: target.database,
    username,
  };
}

/**
 * A stored credential must belong to this provider: who can write the store must not be able to send Rotor elsewhere.
 * @throws RotorError `provider.refused-credential`
 */
export function assertSamePlace(target: Target, credential: Credential, users: readonly string[]): void {
  const expected = fieldsOf(target, credential.identity);
  for (const field of ['host', 'port', 'dbname'] as const) {
    const stored = credential.fields[field];
    if (stored !== undefined && stored !== expected[field]) {
      throw new RotorError('provider.refused-credential', {
        what: `the stored credential names another ${field} ("${stored}") than its provider ("${expected[field]}")`,
        hint: 'Correct the stored document or the provider: they must name the same server and database.',
      });
    }
  }
  if (users.includes(credential.identity)) return;
  throw new RotorError('provider.refused-credential', {
    what: `the stored credential is of ${credential.identity}, which is not ${users.join(' or ')}`,
    hint: 'Name the role that consumers use today in the policy, or store its credential.',
  });
}
