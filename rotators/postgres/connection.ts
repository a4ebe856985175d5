import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { Call } from '../../core/call.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { postgresError } from './errors.ts';
import type { ProviderSpec } from './spec.ts';

export interface Login {
  readonly username: string;
  readonly password: SecretValue;
}

/** Where a provider is: the hosts in order, and the database in which admin work and attempts happen. */
export interface Target {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly tls: ProviderSpec['tls'];
}

/** An open connection to the primary, and what was learnt of the server while opening it. */
export interface Server {
  readonly client: pg.Client;
  readonly version: number;
  readonly synchronous: boolean;
  /** The server's clock (epoch milliseconds) when ours showed `localMs` (monotonic) or earlier. */
  readonly serverMs: number;
  readonly localMs: number;
}

export function targetOf(spec: ProviderSpec): Target {
  if (spec.hosts) return { hosts: spec.hosts, database: spec.database ?? '', tls: spec.tls };
  const url = new URL(spec.url ?? '');
  const database = spec.database ?? decodeURIComponent(url.pathname.slice(1));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { hosts: [{ host, port: Number(url.port || 5_432) }], database, tls: spec.tls };
}

/** The password that a reference points to. @throws RotorError `reference.unresolved` */
export async function resolvePassword(reference: {
  file?: string | undefined;
  env?: string | undefined;
}): Promise<SecretValue> {
  if (reference.env !== undefined) {
    const value = process.env[reference.env];
    if (!value)
      throw new RotorError('reference.unresolved', {
        what: `passwordFrom: the variable ${reference.env} is not set`,
      });
    return SecretValue.of(value);
  }
  const file = reference.file ?? '';
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `passwordFrom: ${file} can't be read (${foreignCode(error)})`,
    });
  });
  return SecretValue.of(text.replace(/\r?\n$/, ''));
}

const ABOUT = `SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS replica, clock_timestamp() AS now,
  current_setting('server_version_num')::integer AS version, current_setting('synchronous_standby_names') <> '' AS synchronous`;

/**
 * Connects to the primary as `login`: hosts are tried in order, replicas passed over.
 * @throws the driver's error when the login is refused (callers tell admin and credential apart);
 *   RotorError `provider.unreachable`, `provider.tls`, or `provider.unsupported` (PgBouncer, no password asked)
 */
export async function connectPrimary(target: Target, login: Login, call: Call): Promise<Server> {
  let problem: unknown;
  for (const { host, port } of target.hosts) {
    const doing = `connecting to ${host}:${port}/${target.database} as ${login.username}`;
    call.deadline.assertTime(doing);
    try {
      const server = await connectTo(host, port, target, login, call, doing);
      if (server) return server;
      problem ??= new RotorError('provider.unreachable', { what: `${doing}: this is a replica` });
    } catch (error) {
      if (isLoginRefusal(error)) throw error;
      problem = postgresError(error, 'connecting', doing);
      if ((problem as RotorError).kind === 'terminal') throw problem;
    }
  }
  throw problem;
}

async function connectTo(
  host: string,
  port: number,
  target: Target,
  login: Login,
  call: Call,
  doing: string,
): Promise<Server | undefined> {
  const client = new pg.Client({
    host,
    port,
    database: target.database,
    user: login.username,
    password: login.password.reveal(),
    ssl: await tlsOptions(target, host),
    application_name: 'rotor',
    connectionTimeoutMillis: Math.max(1, Math.min(10_000, call.deadline.remainingMs())),
    keepAlive: true,
  });
  client.on('error', (error) => call.log.debug({ err: error }, 'a provider connection was lost'));
  const asked = passwordAsked(client);
  try {
    await client.connect();
    const [about] = (await client.query(ABOUT)).rows;
    const localMs = call.clock.monotonicMs();
    if (about.replica) {
      await client.end();
      return undefined;
    }
    if (!asked()) {
      throw new RotorError('provider.unsupported', {
        what: `${doing}: the server lets this user in without a password (trust, peer or certificate in pg_hba.conf)`,
      });
    }
    // PgBouncer answers with a key of its own, which isn't the backend's; role changes and proofs must see the server.
    if ((client as unknown as { processID: number }).processID !== about.pid) {
      throw new RotorError('provider.unsupported', {
        what: `${doing}: there is a PgBouncer (or another pooler) in between`,
        hint: 'Name the PostgreSQL server itself in the provider; consumers may go through the pooler (docs/postgres.md).',
      });
    }
    return {
      client,
      version: about.version,
      synchronous: about.synchronous,
      serverMs: about.now.getTime(),
      localMs,
    };
  } catch (error) {
    await endConnection(client);
    throw error;
  }
}

/** Refusals of the login itself, as PostgreSQL words them; both are also what a dead credential gets. */
export function isLoginRefusal(error: unknown): boolean {
  const code = foreignCode(error);
  if (code === '28P01') return true;
  return (
    code === '28000' &&
    error instanceof Error &&
    /is not permitted to log in|does not exist/.test(error.message)
  );
}

/** Whether the server asked for a password at all: a server that trusts everybody proves nothing. */
function passwordAsked(client: pg.Client): () => boolean {
  let asked = false;
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  for (const event of [
    'authenticationSASL',
    'authenticationMD5Password',
    'authenticationCleartextPassword',
  ]) {
    connection.once(event, () => {
      asked = true;
    });
  }
  return () => asked;
}

async function tlsOptions(
  { tls }: Target,
  host: string,
): Promise<boolean | { ca?: string; rejectUnauthorized: boolean; servername?: string }> {
  const mode = tls.mode ?? (/^(localhost|127\.|::1$)/.test(host) ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  const ca = tls.caFile === undefined ? {} : { ca: await readCa(tls.caFile) };
  return { ...ca, rejectUnauthorized: mode === 'verify-full' };
}

async function readCa(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `tls.caFile: ${file} can't be read (${foreignCode(error)})`,
    });
  });
}

const GOODBYE_MS = 2_000;

/** Ends a connection; one whose server doesn't answer is cut. */
export async function endConnection(client: pg.Client): Promise<void> {
  const cut = setTimeout(() => cutConnection(client), GOODBYE_MS);
  await client.end().catch(() => undefined);
  clearTimeout(cut);
}

/** Closes the socket without a word. What waits on it fails as a lost connection. */
export function cutConnection(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
