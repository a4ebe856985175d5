import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshDatabase } from '../../test/setup/postgres.ts';
import { intrude, type Login, tryLogin, watchLogin } from './logins.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
let admin: pg.Client;
let login: Login;

beforeEach(async () => {
  database = await freshDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  const username = `${database.name}_app`;
  await admin.query(`CREATE ROLE ${username} LOGIN PASSWORD 'leaked'`);
  const { hostname, port } = new URL(database.url);
  login = {
    host: hostname,
    port: Number(port),
    database: database.name,
    username,
    password: 'leaked',
    versionId: 'v1',
  };
});
afterEach(async () => {
  await admin.end();
  await database.drop();
});

test('a login tells a disabled credential from one that is gone', async () => {
  expect(await tryLogin(login)).toBe('accepted');
  await admin.query(`ALTER ROLE ${login.username} NOLOGIN`);
  expect(await tryLogin(login)).toBe('disabled');
  await admin.query(`ALTER ROLE ${login.username} NOLOGIN PASSWORD NULL`);
  expect(await tryLogin(login)).toBe('gone');
});

test('a server that can’t be asked says nothing about the credential', async () => {
  await expect(tryLogin({ ...login, database: `${login.database}_absent` })).rejects.toThrow(
    'does not exist',
  );
});

test('a watch notes when the first refusal came, and when the credential was gone', async () => {
  const watch = watchLogin(login, 5);
  await admin.query(`ALTER ROLE ${login.username} NOLOGIN`);
  await expect.poll(() => watch.refusedMs).toBeGreaterThan(0);
  expect(watch.goneMs).toBeUndefined();
  await admin.query(`ALTER ROLE ${login.username} PASSWORD NULL`);
  await expect.poll(() => watch.goneMs).toBeGreaterThan(watch.refusedMs ?? 0);
  await watch.end();
});

test('an intruder who is logged in notices when the session is ended', async () => {
  const intruder = await intrude(login);
  expect(intruder.cutMs).toBeUndefined();
  await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [
    login.username,
  ]);
  await expect.poll(() => intruder.cutMs).toBeGreaterThan(0);
  await intruder.leave();
});
