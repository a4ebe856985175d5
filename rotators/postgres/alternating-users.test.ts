import { inspect } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { startTcpProxy } from '../../test/setup/tcp-proxy.ts';
import type { RotatorSession } from '../rotator.ts';
import { postgresRotator } from './rotator.ts';

let app: Application;
let session: RotatorSession;
let current: Credential;

function open(provider: object = app.provider(), credential: object = {}): RotatorSession {
  const spec = { mode: 'alternating-users', roles: app.roles, owner: app.owner, ...credential };
  return postgresRotator.open(
    postgresRotator.provider?.parse(provider),
    postgresRotator.credential.parse(spec),
  );
}

beforeEach(async () => {
  app = await anApplication();
  session = open();
  const { username, password } = app.initial;
  current = {
    versionId: 'v0',
    identity: username,
    fields: { username },
    secrets: { password: SecretValue.of(password) },
  };
});
afterEach(async () => {
  await session.close();
  await app.drop();
});

async function loggedIn(credential: Credential): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: app.port,
    database: app.name,
    user: credential.identity,
    password: credential.secrets.password?.reveal() ?? '',
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function refusal(work: Promise<unknown>): Promise<RotorError> {
  const thrown = await work.then(
    () => undefined,
    (error) => error,
  );
  expect(thrown).toBeInstanceOf(RotorError);
  return thrown as RotorError;
}

test('a whole turn: both accepted in between, the old one refused and its sessions ended in the end', async () => {
  const plan = await session.plan(aCall(), current);
  expect(plan.actions.join('\n')).toContain(`create the login role ${app.roles[1]}`);
  expect(plan.warnings).toEqual([]);
  const pending = await session.generate(aCall(), 'v1', current);
  expect(pending.identity).toBe(app.roles[1]);
  expect(await session.attempt(aCall(), pending)).toBe('refused');

  await session.install(aCall(), pending, current);
  await session.install(aCall(), pending, current);
  expect(await session.attempt(aCall(), pending)).toBe('accepted');
  expect(await session.attempt(aCall(), current)).toBe('accepted');

  const old = await loggedIn(current);
  expect(await session.usage(aCall(), current, new Date())).toMatchObject({ sessions: 1 });
  const ended = new Promise((resolve) => old.once('end', resolve));
  await session.revoke(aCall(), current, pending, new Date());
  await session.revoke(aCall(), current, pending, new Date());
  await ended;
  expect(await session.attempt(aCall(), current)).toBe('refused');
  expect(await session.attempt(aCall(), pending)).toBe('accepted');
  expect(await session.usage(aCall(), current, new Date())).toMatchObject({ sessions: 0 });
});

test('what either role creates belongs to the owner, and the next turn goes back to the first role', async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await session.install(aCall(), pending, current);
  const client = await loggedIn(pending);
  await client.query('CREATE TABLE made (id integer)');
  await client.end();
  expect(await app.sql(`SELECT tableowner FROM pg_tables WHERE tablename = 'made'`)).toEqual([
    { tableowner: app.owner },
  ]);
  await session.revoke(aCall(), current, pending, new Date());
  await session.plan(aCall(), pending);
  expect((await session.generate(aCall(), 'v2', pending)).identity).toBe(app.roles[0]);
});

test('undoing the installation refuses the new one, ends its sessions and leaves the current one alone', async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await session.install(aCall(), pending, current);
  const stray = await loggedIn(pending);
  const ended = new Promise((resolve) => stray.once('end', resolve));
  await session.uninstall(aCall(), pending, current);
  await ended;
  await session.uninstall(aCall(), pending, current);
  expect(await session.attempt(aCall(), pending)).toBe('refused');
  expect(await session.attempt(aCall(), current)).toBe('accepted');
});

test('the credential in use can be neither installed over, nor undone, nor revoked', async () => {
  for (const work of [
    session.install(aCall(), current, current),
    session.uninstall(aCall(), current, current),
    session.revoke(aCall(), current, current, new Date()),
  ]) {
    expect((await refusal(work)).code).toBe('internal.bug');
  }
  expect(await session.attempt(aCall(), current)).toBe('accepted');
});

test('a worker that comes after a later one changes nothing', async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await session.install(aCall({ fence: 1_000n }), pending, current);
  await session.uninstall(aCall({ fence: 1_001n }), pending, current);
  expect((await refusal(session.install(aCall({ fence: 1_000n }), pending, current))).code).toBe(
    'ledger.fenced',
  );
  expect(await session.attempt(aCall(), pending)).toBe('refused');
});

test('the server itself refuses a change that arrives after the deadline', async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await session.plan(aCall(), current);
  const lock = new pg.Client({ connectionString: app.superuserUrl });
  await lock.connect();
  await lock.query('BEGIN');
  await lock.query(`SELECT pg_advisory_xact_lock(hashtextextended('rotor:${pending.identity}', 0))`);
  const late = refusal(session.install(aCall({ deadline: Deadline.after(300) }), pending, current));
  await expect
    .poll(() =>
      app.sql(
        `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = '${app.name}')`,
      ),
    )
    .toHaveLength(1);
  const error = await late;
  await lock.query('COMMIT');
  await lock.end();
  expect(['lease.expired', 'call.timeout', 'provider.throttled']).toContain(error.code);
  expect(await session.attempt(aCall(), pending)).toBe('refused');
});

test("people's comment on a role is kept beside the token", async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await app.sql(
    `CREATE ROLE ${pending.identity} NOLOGIN; GRANT ${pending.identity} TO ${app.admin} WITH ADMIN OPTION; COMMENT ON ROLE ${pending.identity} IS 'owned by team orders'`,
  );
  await session.install(aCall({ fence: 77n }), pending, current);
  await session.install(aCall({ fence: 78n }), pending, current);
  expect(
    await app.sql(
      `SELECT shobj_description(oid, 'pg_authid') AS said FROM pg_roles WHERE rolname = '${pending.identity}'`,
    ),
  ).toEqual([{ said: 'owned by team orders [rotor fence=78]' }]);
});

test('the password reaches the server as a verifier only', async () => {
  await app.sql(`ALTER DATABASE ${app.name} SET log_statement = 'all'`);
  const pending = await session.generate(aCall(), 'v1', current);
  const proxied: Buffer[] = [];
  const { createServer, connect } = await import('node:net');
  const tap = createServer((client) => {
    const upstream = connect(app.port, '127.0.0.1');
    client.on('data', (bytes) => proxied.push(bytes));
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
  const tapped = open(
    app.provider({ hosts: [{ host: '127.0.0.1', port: (tap.address() as { port: number }).port }] }),
  );
  await tapped.install(aCall(), pending, current);
  await tapped.close();
  tap.close();
  const sent = Buffer.concat(proxied).toString('latin1');
  expect(sent).toContain('SCRAM-SHA-256$4096:');
  expect(sent).not.toContain(pending.secrets.password?.reveal());
});

describe('plan refuses early and says what to do', () => {
  test.each([
    [
      'a wrong current password',
      async () => ({ current: { ...current, secrets: { password: SecretValue.of('wrong-marker') } } }),
      'provider.refused-credential',
      /does not log in/,
    ],
    [
      'a user that is none of the two',
      async () => ({ current: { ...current, identity: 'stranger' } }),
      'provider.refused-credential',
      /stranger/,
    ],
    [
      'a document that names another host',
      async () => ({ current: { ...current, fields: { ...current.fields, host: 'evil.example' } } }),
      'provider.refused-credential',
      /evil\.example/,
    ],
    [
      'an unreachable host',
      async () => ({ session: open(app.provider({ hosts: [{ host: '127.0.0.1', port: 1 }] })) }),
      'provider.unreachable',
      /127\.0\.0\.1:1/,
    ],
    [
      'a role that may not alter the other',
      async () => {
        await app.sql(`CREATE ROLE ${app.roles[1]} NOLOGIN`);
        return {};
      },
      'provider.permission-denied',
      /GRANT "?t_\w+_green"? TO "?t_\w+_admin"? WITH ADMIN OPTION/,
    ],
    [
      'an admin without CREATEROLE',
      async () => {
        await app.sql(`ALTER ROLE ${app.admin} NOCREATEROLE`);
        return {};
      },
      'provider.permission-denied',
      /CREATEROLE/,
    ],
  ])('%s', async (_what, arrange, code, words) => {
    const arranged = (await arrange()) as { current?: Credential; session?: RotatorSession };
    const error = await refusal((arranged.session ?? session).plan(aCall(), arranged.current ?? current));
    await arranged.session?.close();
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).toMatch(words);
  });

  test('a wrong admin password', async () => {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(app.adminFile, 'wrong-admin-marker');
    const error = await refusal(session.plan(aCall(), current));
    expect(error.code).toBe('provider.refused-admin');
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('wrong-admin-marker');
  });

  test('sessions of the role that should be idle', async () => {
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    const stray = await loggedIn(pending);
    const error = await refusal(session.plan(aCall(), current));
    await stray.end();
    expect(error.code).toBe('provider.slot-occupied');
    expect(error.message).toContain('1 open sessions');
  });
});

describe('a connection that is lost while the role is changed', () => {
  test.each([
    ['before the server got it', 'cutBefore', 'refused'],
    ['after the server did it', 'cutAfter', 'accepted'],
  ] as const)('%s is ambiguous, and probing tells', async (_when, cut, found) => {
    const proxy = await startTcpProxy(app.port);
    const pending = await session.generate(aCall(), 'v1', current);
    const proxied = open(app.provider({ hosts: [{ host: '127.0.0.1', port: proxy.port }] }));
    proxy[cut]('ALTER ROLE');
    const error = await refusal(proxied.install(aCall(), pending, current));
    expect(error).toMatchObject({ code: 'provider.connection-lost', kind: 'ambiguous' });
    // The server may still be at it when the client's side is cut.
    await expect.poll(() => session.attempt(aCall(), pending)).toBe(found);
    await proxied.install(aCall(), pending, current);
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
    await proxied.close();
    await proxy.close();
  });
});

test('a server that never answers is given up at the deadline, and the session goes on afterwards', async () => {
  const proxy = await startTcpProxy(app.port);
  const pending = await session.generate(aCall(), 'v1', current);
  const proxied = open(app.provider({ hosts: [{ host: '127.0.0.1', port: proxy.port }] }));
  // Connected before, so that on a busy machine the time doesn't run out on the way to the server.
  await proxied.usage(aCall(), current, new Date());
  proxy.stall('ALTER ROLE');
  const error = await refusal(proxied.install(aCall({ deadline: Deadline.after(400) }), pending, current));
  expect(error).toMatchObject({ code: 'call.timeout', kind: 'ambiguous' });
  // The cut connection is noticed a moment later.
  await expect
    .poll(
      () =>
        proxied.install(aCall(), pending, current).then(
          () => 'installed',
          () => 'not yet',
        ),
      { timeout: 20_000 },
    )
    .toBe('installed');
  expect(await session.attempt(aCall(), pending)).toBe('accepted');
  await proxied.close();
  await proxy.close();
});

test('two workers that install at once do not trip over each other', async () => {
  const pending = await session.generate(aCall(), 'v1', current);
  await session.install(aCall(), pending, current);
  const [one, two] = [open(), open()];
  await Promise.all([
    one.install(aCall({ fence: 9_999n }), pending, current),
    two.install(aCall({ fence: 9_999n }), pending, current),
  ]);
  expect(await session.attempt(aCall(), pending)).toBe('accepted');
  await Promise.all([one.close(), two.close()]);
});
