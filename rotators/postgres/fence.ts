import pg from 'pg';
import type { Call } from '../../core/call.ts';
import { cutConnection, type Server } from './connection.ts';
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
  const script = [
    'BEGIN',
    `SET LOCAL statement_timeout = ${Math.max(1, remainingMs)}`,
    // With replicas, a change that one of them lacks would be undone by a failover to it.
    ...(server.synchronous ? ['SET LOCAL synchronous_commit = remote_apply'] : []),
    `SELECT pg_advisory_xact_lock(hashtextextended(${escapeLiteral(`rotor:${role}`)}, 0))`,
    check(role, latest, call.fence),
    ...statements,
    ...(mayComment ? [remember(role, call.fence)] : []),
    'COMMIT',
  ].join(';\n');
  try {
    await call.deadline.run(doing, () => server.client.query(script));
  } catch (error) {
    // A server that doesn't answer wouldn't answer to ROLLBACK either; it rolls back when the connection is gone.
    if (call.deadline.expired) cutConnection(server.client);
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

export function quoted(name: string): string {
  return escapeIdentifier(name);
}

export function literal(text: string): string {
  return escapeLiteral(text);
}
