import pg from 'pg';
import type { Call } from '../../core/call.ts';
import { endConnection, isTimeout, type Server } from './connection.ts';
import { FENCED, postgresError, TOO_LATE } from './errors.ts';

const { escapeIdentifier, escapeLiteral } = pg;

export interface FencedChange {
  readonly role: string;
  /** Statements that change the role; identifiers and literals escaped. */
  readonly statements: readonly string[];
  /** Whether the session may write the role's comment, where the fencing token is kept. */
  readonly mayComment: boolean;
}

/**
 * Changes a role in one transaction, sent as one message, so that a worker which is paused can't be caught between
 * the check and the change. Under the role's advisory lock the server itself checks that the worker's time isn't over
 * and that no later worker was here; the token is kept in the role's comment as `[rotor fence=<n>]`.
 * @throws RotorError `lease.expired`, `ledger.fenced`, or what postgresError makes of it
 */
export async function changeRole(
  server: Server,
  call: Call,
  { role, statements, mayComment }: FencedChange,
): Promise<void> {
  const doing = `changing role ${role}`;
  call.deadline.assertTime(doing);
  const remainingMs = Math.floor(call.deadline.remainingMs());
  // By the server's clock, and early rather than late: its time was read before ours was.
  const latest = new Date(
    server.serverMs + (call.clock.monotonicMs() - server.localMs) + remainingMs,
  ).toISOString();
  // The server gives up first, so that its answer still finds us listening.
  const patienceMs = Math.max(1, Math.floor(remainingMs * 0.9));
  const script = [
    'BEGIN',
    `SET LOCAL statement_timeout = ${patienceMs}`,
    `SET LOCAL lock_timeout = ${patienceMs}`,
    // With replicas, a change that one of them lacks would be undone by a failover to it. Without, it must at least
    // be on disk, whatever the server's default is: a crash would bring the old password back.
    `SET LOCAL synchronous_commit = ${server.synchronous ? 'remote_apply' : 'local'}`,
    `SELECT pg_advisory_xact_lock(hashtextextended(${escapeLiteral(`rotor:${role}`)}, 0))`,
    check(role, latest, call.fence),
    ...statements,
    // Again, now that the role is ours until COMMIT: the statements may have waited for a change by others, and
    // advisory locks don't reach workers that are connected to another database of the same server.
    check(role, latest, call.fence),
    ...(mayComment ? [remember(role, call.fence)] : []),
    'COMMIT',
  ].join(';\n');
  try {
    await call.deadline.run(doing, () => server.client.query(script));
  } catch (error) {
    // What a connection without an answer is still doing can't be known; a fresh one is opened instead.
    if (isTimeout(error)) await endConnection(server.client);
    else await server.client.query('ROLLBACK').catch(() => undefined);
    throw postgresError(error, 'changing', doing);
  }
}

const TOKEN = String.raw`\[rotor fence=(\d+)\]`;

function check(role: string, latest: string, fence: bigint): string {
  return `DO $rotor$ BEGIN
  IF clock_timestamp() > ${escapeLiteral(latest)}::timestamptz THEN
    RAISE EXCEPTION 'rotor: too late' USING ERRCODE = '${TOO_LATE}';
  END IF;
  IF (SELECT substring(shobj_description(oid, 'pg_authid') FROM '${TOKEN}')::bigint
        FROM pg_catalog.pg_roles WHERE rolname = ${escapeLiteral(role)}) > ${fence} THEN
    RAISE EXCEPTION 'rotor: fenced' USING ERRCODE = '${FENCED}';
  END IF;
END $rotor$`;
}

/** Keeps what people wrote in the comment. */
function remember(role: string, fence: bigint): string {
  const name = escapeLiteral(role);
  return `DO $rotor$ BEGIN
  EXECUTE format('COMMENT ON ROLE %I IS %L', ${name}, (
    SELECT trim(regexp_replace(coalesce(shobj_description(oid, 'pg_authid'), ''), '\\s*${TOKEN}', '') || ' [rotor fence=${fence}]')
      FROM pg_catalog.pg_roles WHERE rolname = ${name}));
END $rotor$`;
}

/** Makes a role without login, unless it is there: two workers that both found it missing may come here in turn. */
export function createRole(name: string): string {
  return `DO $rotor$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${escapeLiteral(name)}) THEN
    CREATE ROLE ${escapeIdentifier(name)} NOLOGIN;
  END IF;
END $rotor$`;
}

export function quoted(name: string): string {
  return escapeIdentifier(name);
}

export function literal(text: string): string {
  return escapeLiteral(text);
}
