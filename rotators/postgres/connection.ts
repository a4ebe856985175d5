import type { Socket } from 'node:net';
import pg from 'pg';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import { isLoginRefusal, isRejectedByHba, postgresError } from './errors.ts';
import { type Place, type Target, transportTo } from './target.ts';

export interface Login {
  readonly username: string;
  readonly password: SecretValue;
}

/** An open connection to the primary, and what was learnt of the server while opening it. */
export interface Server {
  readonly client: pg.Client;
  readonly place: Place;
  readonly version: number;
  readonly synchronous: boolean;
  /** Standbys and other receivers that stream from it now. */
  readonly replicas: number;
  /** The server's clock (epoch milliseconds) when ours showed `localMs` (monotonic) or earlier. */
  readonly serverMs: number;
  readonly localMs: number;
}

interface About {
  readonly pid: number;
  readonly replica: boolean;
  readonly now: Date;
  readonly version: number;
  readonly synchronous: boolean;
  readonly replicas: number;
}

// Everything is named with its schema: whoever may create functions in `public` could otherwise have the admin run
// theirs (CVE-2018-1058). The search path isn't set here, since a pooler in between would hand it on to consumers.
const ABOUT = `SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.pg_is_in_recovery() AS replica,
  pg_catalog.clock_timestamp() AS now, pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
  pg_catalog.current_setting('synchronous_standby_names') OPERATOR(pg_catalog.<>) '' AS synchronous,
  (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pg_catalog.pg_stat_replication) AS replicas`;

/**
 * Connects to the primary as `login`: hosts are tried in order, replicas passed over. A refusal counts only when every
 * other host answered, since it may come from a replica that lags behind a primary which can't be reached.
 * @throws the driver's error when the login is refused (callers tell admin and credential apart);
 *   RotorError `provider.unreachable`, `provider.tls`, or `provider.unsupported` (PgBouncer, no password asked)
 */
export async function connectPrimary(target: Target, login: Login, call: Call): Promise<Server> {
  let silent: RotorError | undefined;
  let refusal: unknown;
  let replica: RotorError | undefined;
  for (const place of target.hosts) {
    const doing = `connecting to ${place.host}:${place.port}/${target.database} as ${login.username}`;
    call.deadline.assertTime(doing);
    try {
      const server = await connectTo(place, target, login, call, doing);
      if (server) return server;
      replica = new RotorError('provider.unreachable', { what: `${doing}: this is a replica` });
    } catch (error) {
      if (isLoginRefusal(error)) {
        refusal ??= error;
        continue;
      }
      const problem = postgresError(error, 'connecting', doing);
      if (problem.kind === 'terminal') throw problem;
      silent ??= problem;
    }
  }
  throw silent ?? refusal ?? replica;
}

async function connectTo(
  place: Place,
  target: Target,
  login: Login,
  call: Call,
  doing: string,
): Promise<Server | undefined> {
  const { ssl, trusted } = await transportTo(target, place.host);
  const client = new pg.Client({
    ...place,
    database: target.database,
    user: login.username,
    password: () => {
      if (asked() === 'authenticationCleartextPassword' && !trusted) throw plainTextAsked(doing);
      return login.password.reveal();
    },
    ssl,
    application_name: 'rotor',
    connectionTimeoutMillis: Math.max(1, Math.min(10_000, call.deadline.remainingMs())),
    keepAlive: true,
  });
  client.on('error', (error) => call.log.debug({ err: error }, 'a provider connection was lost'));
  const asked = passwordAsked(client);
  try {
    const about = await withinDeadline(call, doing, async () => {
      await client.connect();
      return (await client.query<About>(ABOUT)).rows[0] as About;
    });
    const localMs = call.clock.monotonicMs();
    // Before anything is believed: a server that lets everybody in proves nothing, a pooler answers for others.
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
    if (about.replica) {
      await endConnection(client);
      return undefined;
    }
    const { version, synchronous, replicas, now } = about;
    return { client, place, version, synchronous, replicas, serverMs: now.getTime(), localMs };
  } catch (error) {
    await endConnection(client);
    if (!ssl && isRejectedByHba(error)) throw withoutTls(doing, error);
    throw error;
  }
}

/** Asks the server something that changes nothing. @throws RotorError what postgresError makes of it */
export async function ask<Row extends pg.QueryResultRow>(
  server: Server,
  call: Call,
  doing: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  try {
    const query = () => server.client.query<Row>(text, [...values]);
    return (await withinDeadline(call, doing, query)).rows;
  } catch (error) {
    if (isTimeout(error)) await endConnection(server.client);
    throw postgresError(error, 'reading', doing);
  }
}

/** A question that wasn't answered has changed nothing, so asking again is safe. */
async function withinDeadline<T>(call: Call, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await call.deadline.run(doing, work);
  } catch (error) {
    if (!isTimeout(error)) throw error;
    throw new RotorError('call.timeout', { what: `${doing}: no answer in time`, kind: 'retryable' });
  }
}

export function isTimeout(error: unknown): boolean {
  return error instanceof RotorError && error.code === 'call.timeout';
}

const GOODBYE_MS = 500;

/** Ends a connection; one whose server doesn't answer is cut, and what waits on it fails as a lost connection. */
export async function endConnection(client: pg.Client): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  const cut = setTimeout(() => stream.destroy(), GOODBYE_MS);
  await client.end().catch(() => undefined);
  clearTimeout(cut);
}

/** Which kind of password the server asked for, if any (the driver's events before it answers them). */
function passwordAsked(client: pg.Client): () => string | undefined {
  let asked: string | undefined;
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  for (const event of [
    'authenticationSASL',
    'authenticationMD5Password',
    'authenticationCleartextPassword',
  ]) {
    connection.once(event, () => {
      asked = event;
    });
  }
  return () => asked;
}

/** The server doesn't say in a way to rely on whether TLS would have helped, so both ways out are named. */
function withoutTls(doing: string, cause: unknown): RotorError {
  return new RotorError('provider.tls', {
    what: `${doing}: pg_hba.conf does not let this login in without TLS`,
    hint: 'Set `tls.mode: verify-full` (and `tls.caFile` for a private authority), or let it in by a `host` line in pg_hba.conf.',
    cause,
  });
}

function plainTextAsked(doing: string): RotorError {
  return new RotorError('provider.unsupported', {
    what: `${doing}: the server asks for the password in plain text, over a connection that others may read`,
    hint: 'Use scram-sha-256 in pg_hba.conf, or `tls.mode: verify-full`.',
  });
}
