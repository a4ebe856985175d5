import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SeenUse, Usage } from '../rotator.ts';
import { ask, type Server } from './connection.ts';

interface SessionRow {
  readonly pid: number;
  readonly started: Date | null;
  readonly client: string | null;
  readonly application: string | null;
}

// Replication connections (walsender) use the credential as well. Who may not see other sessions' details still sees
// that they exist: kind, start and address are null then, so a session of unknown kind must count as one.
const SESSIONS = `SELECT pid, backend_start AS started, pg_catalog.host(client_addr) AS client, application_name AS application
  FROM pg_catalog.pg_stat_activity
 WHERE usename = $1 AND pid <> pg_backend_pid() AND (backend_type IS NULL OR backend_type IN ('client backend', 'walsender'))`;

const END = `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE usename = $1 AND pid <> pg_backend_pid() AND ($2::timestamptz IS NULL OR backend_start < $2)`;

/** Clocks that are further apart than this aren't just read one after the other. */
const APART_MS = 1_000;

/**
 * `since` comes from Rotor's side, but sessions begin by the server's clock. Where that one is wrong, a session from
 * before the change would pass for a newer one, and live on.
 */
function byServersClock(server: Server, { clock }: Call, since: Date): Date {
  const there = server.serverMs + (clock.monotonicMs() - server.localMs);
  const apart = there - clock.now().getTime();
  return Math.abs(apart) < APART_MS ? since : new Date(since.getTime() + apart);
}

/**
 * Sessions of a role, those opened before `since` when given. Counted whatever the admin's rights; with `since`, unknown
 * (undefined) when the admin may not see when they began.
 */
export async function sessionsOf(server: Server, call: Call, role: string, since?: Date): Promise<Usage> {
  return usageOf(await openSessions(server, call, role), server, call, since);
}

async function openSessions(server: Server, call: Call, role: string): Promise<readonly SessionRow[]> {
  return ask<SessionRow>(server, call, `looking for sessions of ${role}`, SESSIONS, [role]);
}

function usageOf(rows: readonly SessionRow[], server: Server, call: Call, since: Date | undefined): Usage {
  if (since && rows.some((row) => row.started === null)) return { sessions: undefined, clients: [] };
  const until = since && byServersClock(server, call, since);
  const open = rows.filter((row) => !until || (row.started && row.started < until));
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

const MOST_TOLD = 100;

function tellOf(
  role: string,
  rows: readonly SessionRow[],
  known: Map<number, SessionRow>,
  seen: (use: SeenUse) => void,
): void {
  const before = known.size;
  for (const row of rows) known.set(row.pid, row);
  if (known.size === before && before > 0) return;
  const told = [...known.values()].slice(0, MOST_TOLD).map(({ client, application, started }) => ({
    ...(client ? { client } : {}),
    ...(application ? { application } : {}),
    ...(started ? { since: started.toISOString() } : {}),
  }));
  seen({ identity: role, sessions: known.size, seen: told });
}

/** Less is not enough for another round trip. */
const ROUND_MS = 100;

/**
 * Ends the sessions of a role and waits until they are gone: ALTER ROLE doesn't end them.
 * @param seen told of all sessions of the role before any is ended, and again when there are more
 * @throws RotorError `provider.sessions-remain`
 */
export async function endSessions(
  server: Server,
  call: Call,
  role: string,
  since?: Date,
  seen?: (use: SeenUse) => void,
): Promise<void> {
  const known = new Map<number, SessionRow>();
  const doing = `ending the sessions of ${role}`;
  // A login that passed just before the change shows up a moment later, so nobody must be seen twice in a row.
  for (let unseen = 0; ; await call.clock.sleep(20)) {
    const rows = await openSessions(server, call, role);
    if (seen) tellOf(role, rows, known, seen);
    const left = usageOf(rows, server, call, since);
    unseen = left.sessions === 0 ? unseen + 1 : 0;
    if (unseen === 2) return;
    if (unseen === 1) continue;
    if (call.deadline.remainingMs() < ROUND_MS) {
      throw new RotorError('provider.sessions-remain', {
        what: `${doing}: ${left.sessions ?? 'some'} remain: ${left.clients.join('; ')}`,
      });
    }
    await ask(server, call, doing, END, [role, since ? byServersClock(server, call, since) : null]).catch(
      (error) => {
        if (!(error instanceof RotorError) || error.code !== 'provider.permission-denied') throw error;
        throw new RotorError('provider.sessions-remain', {
          what: `${doing}: ${error.message}`,
          kind: 'terminal',
          cause: error,
        });
      },
    );
  }
}
