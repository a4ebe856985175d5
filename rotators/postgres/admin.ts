import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { AdminPool } from './admin-pool.ts';
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
  readonly #pool: AdminPool | undefined;
  #server: Promise<Server> | undefined;
  #forget: () => void = () => undefined;

  /**
   * @param rotated the roles whose passwords change; the admin can't be one of them, for its own reference would go stale
   * @param pool where connections are taken from and given back to; without one each is opened and ended here
   * @throws RotorError `manifest.invalid`
   */
  constructor(target: Target, spec: AdminSpec, rotated: readonly string[], pool?: AdminPool) {
    if (spec && rotated.includes(spec.username)) {
      throw new RotorError('manifest.invalid', {
        what: `${spec.username} is both the provider's admin and a role that this policy rotates`,
        hint: 'Name another admin; with `mode: single-user`, leave `admin` out and the role changes its own password.',
      });
    }
    this.#target = target;
    this.#spec = spec;
    this.#pool = pool;
  }

  get configured(): boolean {
    return this.#spec !== undefined;
  }

  /** @throws RotorError `provider.refused-admin`, `reference.unresolved`, or what connecting throws */
  async server(call: Call): Promise<Server> {
    const spec = this.#spec;
    if (!spec) throw new RotorError('provider.refused-admin', { what: 'the provider has no `admin`' });
    const free = this.#server === undefined ? this.#pool?.take(this.#key) : undefined;
    if (free) this.#server = Promise.resolve(this.#kept(free));
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
    const { database } = this.#target;
    let opened: Server | undefined;
    try {
      const known = await login();
      const server = await connectPrimary(this.#target, known, call).catch((error) => {
        throw postgresError(error, 'connecting', `connecting to ${database} as ${known.username}`);
      });
      opened = server;
      this.#kept(server);
      await call.deadline.run(`preparing the connection to ${database}`, () => server.client.query(PREPARE));
      return server;
    } catch (error) {
      this.#server = undefined;
      if (opened) await endConnection(opened.client);
      throw postgresError(error, 'connecting', `connecting to ${database}`);
    }
  }

  /** A connection that broke is opened anew when it is needed again. */
  #kept(server: Server): Server {
    const forget = () => {
      this.#server = undefined;
    };
    server.client.once('end', forget);
    server.client.once('error', forget);
    this.#forget = () => {
      server.client.off('end', forget);
      server.client.off('error', forget);
    };
    return server;
  }

  async close(): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    // Somebody else's from now on, perhaps.
    this.#forget();
    // It may have broken while we waited for it.
    const kept = this.#server === undefined ? undefined : server;
    this.#server = undefined;
    if (!kept) return;
    // Without an admin it is the role's own, which nobody else may use.
    if (this.#pool && this.#spec) await this.#pool.give(this.#key, kept);
    else await endConnection(kept.client);
  }

  get #key(): string {
    return JSON.stringify([this.#target, this.#spec]);
  }
}

// Nobody who may create functions or operators in some schema gets the admin to run theirs (CVE-2018-1058), and
// backslashes in our patterns mean themselves.
const PREPARE = 'SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on';
