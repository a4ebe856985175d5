import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Usage } from '../rotator.ts';
import type { Server } from './connection.ts';
import { postgresError } from './errors.ts';

interface SessionRow {
  readonly pid: number;
  readonly started: Date | null;
  readonly client: string | null;
  readonly application: string | null;
}

// Who may not see other sessions' details still sees that they exist: start and address are null then.
const SESSIONS = `SELECT pid, backend_start AS started, client_addr::text AS client, application_name AS application
  FROM pg_catalog.pg_stat_activity
 WHERE usename = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'`;

/**
 * Sessions of a role, those opened before `since` when given. Counted whatever the admin's rights; with `since`, unknown
 * (undefined) when the admin may not see when they began.
 */
export async function sessionsOf(server: Server, role: string, since?: Date): Promise<Usage> {
  const rows = await read(server, role);
  if (since && rows.some((row) => row.started === null)) return { sessions: undefined, clients: [] };
  const open = rows.filter((row) => !since || (row.started && row.started < since));
  const clients = open
    .slice(0, 10)
    .map(({ pid, started, client, application }) =>
      [
        client ?? 'local',
        `pid=${pid}`,
        application && `app=${application}`,
        started && `since ${started.toISOString()}`,
      ]
        .filter(Boolean)
        .join(' '),
    );
  return { sessions: open.length, clients };
}

/**
 * Ends the sessions of a role and waits until they are gone: ALTER ROLE doesn't end them.
 * @throws RotorError `provider.sessions-remain`
 */
export async function endSessions(server: Server, call: Call, role: string, since?: Date): Promise<void> {
  for (;;) {
    const left = await sessionsOf(server, role, since);
    if (left.sessions === 0) return;
    const doing = `ending the sessions of ${role}`;
    if (call.deadline.expired) {
      throw new RotorError('provider.sessions-remain', {
        what: `${doing}: ${left.sessions ?? 'some'} remain: ${left.clients.join('; ')}`,
      });
    }
    await server.client
      .query(
        `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
          WHERE usename = $1 AND pid <> pg_backend_pid() AND ($2::timestamptz IS NULL OR backend_start < $2)`,
        [role, since ?? null],
      )
      .catch((error) => {
        const problem = postgresError(error, 'changing', doing);
        if (problem.code !== 'provider.permission-denied') throw problem;
        throw new RotorError('provider.sessions-remain', {
          what: `${doing}: ${problem.message}`,
          kind: 'terminal',
          cause: error,
        });
      });
    const { sessions } = await sessionsOf(server, role, since);
    if (sessions !== 0) await call.clock.sleep(20);
  }
}

async function read(server: Server, role: string): Promise<SessionRow[]> {
  try {
    return (await server.client.query<SessionRow>(SESSIONS, [role])).rows;
  } catch (error) {
    throw postgresError(error, 'reading', `looking for sessions of ${role}`);
  }
}
