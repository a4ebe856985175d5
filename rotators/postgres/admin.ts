import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import { connectPrimary, endConnection, type Login, type Server } from './connection.ts';
import { postgresError } from './errors.ts';
import type { ProviderSpec } from './spec.ts';
import { resolvePassword, type Target } from './target.ts';

/** The admin of a manifest, or one whose password the caller holds already. */
export type AdminSpec = ProviderSpec['admin'] | { readonly username: string; readonly password: SecretValue };

/** The admin's connection: opened when first needed, kept for the whole turn, opened anew when it broke. */
export class Admin {
  readonly #target: Target;
  readonly #spec: AdminSpec;
  #server: Promise<Server> | undefined;

  /**
   * @param rotated the roles whose passwords change; the admin can't be one of them, for its own reference would go stale
   * @throws RotorError `manifest.invalid`
   */
  constructor(target: Target, spec: AdminSpec, rotated: readonly string[]) {
    if (spec && rotated.includes(spec.username)) {
      throw new RotorError('manifest.invalid', {
        what: `${spec.username} is both the provider's admin and a role that this policy rotates`,
        hint: 'Name another admin; with `mode: single-user`, leave `admin` out and the role changes its own password.',
      });
    }
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
      password: 'password' in spec ? spec.password : await resolvePassword(spec.passwordFrom),
    }));
  }

  /** The connection kept here, opened with `login` when there is none. */
  async use(call: Call, login: () => Promise<Login>): Promise<Server> {
    this.#server ??= this.#open(call, login);
    return this.#server;
  }

  /**
   * Where an attempt tells something: with several hosts only the one that the admin found to be the primary, since a
   * replica may lag and take an old password, or refuse a new one.
   */
  async primary(call: Call): Promise<Target> {
    if (this.#target.hosts.length === 1 || !this.configured) return this.#target;
    return { ...this.#target, hosts: [(await this.server(call)).place] };
  }

  async #open(call: Call, login: () => Promise<Login>): Promise<Server> {
    const forget = () => {
      this.#server = undefined;
    };
    const { database } = this.#target;
    let opened: Server | undefined;
    try {
      const known = await login();
      const server = await connectPrimary(this.#target, known, call).catch((error) => {
        throw postgresError(error, 'connecting', `connecting to ${database} as ${known.username}`);
      });
      opened = server;
      server.client.once('end', forget);
      server.client.once('error', forget);
      await call.deadline.run(`preparing the connection to ${database}`, () => server.client.query(PREPARE));
      return server;
    } catch (error) {
      forget();
      if (opened) await endConnection(opened.client);
      throw postgresError(error, 'connecting', `connecting to ${database}`);
    }
  }

  async close(): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    this.#server = undefined;
    if (server) await endConnection(server.client);
  }
}

// Nobody who may create functions or operators in some schema gets the admin to run theirs (CVE-2018-1058), and
// backslashes in our patterns mean themselves.
const PREPARE = 'SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on';
