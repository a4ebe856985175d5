import { writeFile } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { startTcpProxy } from '../../test/setup/tcp-proxy.ts';
import { postgresRotator } from './rotator.ts';

let app: Application;
beforeEach(async () => {
  app = await anApplication();
});
afterEach(() => app.drop());

const openAs = (provider: object, credential: object) =>
  postgresRotator.open(
    postgresRotator.provider?.parse(provider),
    postgresRotator.credential.parse(credential),
  );
const turns = () => ({ mode: 'alternating-users', roles: app.roles, owner: app.owner });
const single = () => ({ mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true });
const open = (provider: object = app.provider()) => openAs(provider, turns());
const current = () => ({
  versionId: 'v0',
  identity: app.initial.username,
  fields: {},
  secrets: { password: SecretValue.of(app.initial.password) },
});

test('functions that others put in the way are not run with the rights of the admin', async () => {
  // With a search path that begins elsewhere, or by types that fit better, these would win over the server's own.
  await app.sql(`
    CREATE TABLE caught (who text);
    GRANT ALL ON caught TO PUBLIC;
    CREATE FUNCTION public.hashtextextended(text, integer) RETURNS bigint LANGUAGE sql
      AS $$ INSERT INTO public.caught VALUES (current_user); SELECT 1::bigint $$;
    CREATE FUNCTION public.pg_backend_pid() RETURNS integer LANGUAGE sql
      AS $$ INSERT INTO public.caught VALUES (current_user); SELECT 1 $$;
    ALTER DATABASE ${app.name} SET search_path = public, pg_catalog;
  `);
  const session = open();
  await session.plan(aCall(), current());
  const pending = await session.generate(aCall(), 'v1', current());
  await session.install(aCall(), pending, current());
  await session.revoke(aCall(), current(), pending, new Date());
  await session.close();
  expect(await app.sql('SELECT * FROM public.caught')).toEqual([]);
});

test.each([
  ['two users in turn', turns],
  ['one user', single],
])(
  'an admin that is itself rotated (%s) is refused, since its own reference would go stale',
  (_mode, spec) => {
    const provider = app.provider({
      admin: { username: app.roles[0], passwordFrom: { file: app.adminFile } },
    });
    expect(() => openAs(provider, spec())).toThrow(`${app.roles[0]} is both`);
  },
);

test('a role whose VALID UNTIL has passed is found before anything is changed', async () => {
  const session = open();
  await app.sql(`CREATE ROLE ${app.roles[1]} VALID UNTIL '2020-01-01'`);
  await app.sql(`GRANT ${app.roles[1]} TO ${app.admin} WITH ADMIN OPTION`);
  await expect(session.plan(aCall(), current())).rejects.toMatchObject({
    code: 'provider.unsupported',
    hint: expect.stringContaining("VALID UNTIL 'infinity'"),
  });
  await session.close();
});

test('a superuser is not rotated, even by a superuser', async () => {
  const superuser = new URL(app.superuserUrl);
  await writeFile(app.adminFile, decodeURIComponent(superuser.password));
  await app.sql(`ALTER ROLE ${app.roles[0]} SUPERUSER`);
  const session = open(
    app.provider({ admin: { username: superuser.username, passwordFrom: { file: app.adminFile } } }),
  );
  await expect(session.plan(aCall(), current())).rejects.toMatchObject({
    code: 'provider.unsupported',
    hint: expect.stringContaining('NOSUPERUSER'),
  });
  await session.close();
});

test('a membership that does not let the role act as its owner is completed', async () => {
  await app.sql(`
    CREATE ROLE ${app.roles[1]};
    GRANT ${app.roles[1]} TO ${app.admin} WITH ADMIN OPTION;
    GRANT ${app.owner} TO ${app.roles[1]} WITH SET FALSE, INHERIT FALSE;
  `);
  const session = open();
  expect((await session.plan(aCall(), current())).actions.join()).toContain('a member of');
  const pending = await session.generate(aCall(), 'v1', current());
  await session.install(aCall(), pending, current());
  await session.close();
  const client = new pg.Client({
    host: '127.0.0.1',
    port: app.port,
    database: app.name,
    user: pending.identity,
    password: pending.secrets.password?.reveal() ?? '',
  });
  await client.connect();
  expect((await client.query('SELECT current_user AS me')).rows).toEqual([{ me: app.owner }]);
  await client.end();
});

test('at the first rotation plan says that a password which works today stops working', async () => {
  const session = open();
  const { warnings } = await session.plan(aCall(), undefined);
  await session.close();
  expect(warnings.join()).toContain(`${app.roles[0]} may log in today`);
});

test('a refusal does not count while the host that may be the primary is silent', async () => {
  const hosts = [app.port, 1].map((port) => ({ host: '127.0.0.1', port }));
  const session = openAs(app.provider({ admin: undefined, hosts }), single());
  const wrong = { ...current(), secrets: { password: SecretValue.of('wrong') } };
  await expect(session.attempt(aCall(), wrong)).rejects.toMatchObject({
    code: 'provider.unreachable',
    kind: 'retryable',
  });
  expect(await session.attempt(aCall(), current())).toBe('accepted');
  await session.close();
});

test('a question that a dead network swallows is retryable, and the next one gets a fresh connection', async () => {
  const proxy = await startTcpProxy(app.port);
  const session = open(app.provider({ hosts: [{ host: '127.0.0.1', port: proxy.port }] }));
  await session.usage(aCall(), current(), new Date());
  proxy.stall('pg_stat_activity');
  await expect(
    session.usage(aCall({ deadline: Deadline.after(300) }), current(), new Date()),
  ).rejects.toMatchObject({ code: 'call.timeout', kind: 'retryable' });
  expect(await session.usage(aCall(), current(), new Date())).toMatchObject({ sessions: 0 });
  await session.close();
  await proxy.close();
});
