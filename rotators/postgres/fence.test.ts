import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { connectPrimary, endConnection, type Server } from './connection.ts';
import { changeRole, createRole, quoted } from './fence.ts';
import { providerSpec } from './spec.ts';
import { targetOf } from './target.ts';

let app: Application;
const servers: Server[] = [];

beforeEach(async () => {
  app = await anApplication();
});
afterEach(async () => {
  for (const { client } of servers.splice(0)) await endConnection(client);
  await app.drop();
});

async function connect(database?: string): Promise<Server> {
  const target = targetOf(providerSpec.parse(app.provider()), database);
  const login = { username: app.admin, password: SecretValue.of('admin-password') };
  const server = await connectPrimary(target, login, aCall());
  servers.push(server);
  return server;
}
/** A harmless change that can be seen. */
const change = (server: Server, call: Call, limit: number) =>
  changeRole(server, call, {
    role: app.roles[0],
    statements: [`ALTER ROLE ${quoted(app.roles[0])} CONNECTION LIMIT ${limit}`],
    mayComment: true,
  });
const limit = async () =>
  (
    await app.sql<{ n: number }>(`SELECT rolconnlimit AS n FROM pg_roles WHERE rolname = '${app.roles[0]}'`)
  )[0]?.n;
const holder = async () => {
  const client = new pg.Client({ connectionString: app.superuserUrl });
  await client.connect();
  return client;
};

test('what was sent by a worker that slept past its time is refused by the server itself', async () => {
  const server = await connect();
  // The worker believes that it connected a minute later than it did, so its time is over by the server's clock.
  const asleep = { ...server, serverMs: server.serverMs - 60_000 };
  await expect(change(asleep, aCall(), 7)).rejects.toMatchObject({ code: 'lease.expired' });
  expect(await limit()).toBe(-1);
});

test('a change that had to wait for others until its time was over is not committed', async () => {
  const server = await connect();
  const other = await holder();
  await other.query(`BEGIN; ALTER ROLE ${app.roles[0]} CONNECTION LIMIT 3`);
  // Ends by the server's clock half a second from now; our own patience is longer.
  const call = aCall();
  const late = { ...server, serverMs: server.serverMs - (call.deadline.remainingMs() - 500) };
  const waiting = change(late, call, 7).then(
    () => undefined,
    (error) => error,
  );
  await systemClock.sleep(700);
  await other.query('ROLLBACK');
  await other.end();
  expect(await waiting).toMatchObject({ code: 'lease.expired' });
  expect(await limit()).toBe(-1);
});

test('a worker that was overtaken through another database of the same server changes nothing', async () => {
  const [here, there] = [await connect(), await connect('postgres')];
  await change(there, aCall({ fence: 50n }), 5);
  await expect(change(here, aCall({ fence: 49n }), 4)).rejects.toMatchObject({ code: 'ledger.fenced' });
  await change(here, aCall({ fence: 50n }), 6);
  expect(await limit()).toBe(6);
});

test('after a refusal the connection is good for the next change', async () => {
  const server = await connect();
  await expect(
    changeRole(server, aCall(), { role: app.roles[0], statements: ['SELECT 1/0'], mayComment: true }),
  ).rejects.toMatchObject({ kind: 'terminal' });
  await change(server, aCall(), 2);
  expect(await limit()).toBe(2);
});

test('a change is on disk before it is reported, even where the server commits lazily', async () => {
  const server = await connect();
  await changeRole(server, aCall(), {
    role: app.roles[0],
    statements: [`SELECT set_config('rotor.seen', current_setting('synchronous_commit'), false)`],
    mayComment: false,
  });
  const [seen] = (await server.client.query(`SELECT current_setting('rotor.seen') AS how`)).rows;
  expect(seen.how).toBe('local');
});

test('two workers that both found a role missing make it once', async () => {
  const role = `${app.name}_new`;
  const make = (server: Server) =>
    changeRole(server, aCall({ fence: 9_999n }), { role, statements: [createRole(role)], mayComment: true });
  const [one, two] = [await connect(), await connect()];
  await Promise.all([make(one), make(two)]);
  expect(await app.sql(`SELECT rolcanlogin FROM pg_roles WHERE rolname = '${role}'`)).toEqual([
    { rolcanlogin: false },
  ]);
});

test('names that try to end the statement stay names', async () => {
  const role = `${app.name}"; DROP ROLE x; --'$$`;
  const server = await connect();
  await changeRole(server, aCall(), { role, statements: [createRole(role)], mayComment: true });
  const found = await app.sql<{ rolname: string }>(
    `SELECT rolname FROM pg_roles WHERE rolname LIKE '${app.name}"%'`,
  );
  expect(found.map(({ rolname }) => rolname)).toEqual([role]);
});
