import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import { postgresRotator } from '../../rotators/postgres/rotator.ts';
import { aCall } from '../setup/call.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { connected, freePort, serverFolder, unprivileged } from '../setup/postgres-servers.ts';

const program = `${process.env.PATH ?? ''}${delimiter}/usr/sbin`
  .split(delimiter)
  .map((folder) => join(folder, 'pgbouncer'))
  .find((path) => existsSync(path));
const skipped = program ? '' : ' (no pgbouncer on this machine; Debian: apt-get install pgbouncer)';

describe.skipIf(!program)(`PgBouncer in between${skipped}`, () => {
  let app: Application;
  let port: number;
  let stop: (() => Promise<void>) | undefined;
  let current: Credential;

  beforeAll(async () => {
    app = await anApplication();
    current = {
      versionId: 'v0',
      identity: app.initial.username,
      fields: {},
      secrets: { password: SecretValue.of(app.initial.password) },
    };
    port = await freePort();
    await startPgBouncer();
  });
  afterAll(async () => {
    await stop?.();
    await app.drop();
  });

  async function startPgBouncer(): Promise<void> {
    const folder = await serverFolder();
    const superuser = new URL(app.superuserUrl);
    const users = `"postgres" "${decodeURIComponent(superuser.password)}"\n"${app.admin}" "admin-password"\n`;
    const settings = `[databases]
* = host=127.0.0.1 port=${app.port} auth_user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users
pool_mode = transaction
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
`;
    const identity = await unprivileged();
    for (const [name, text] of [
      ['users', users],
      ['settings', settings],
    ] as const) {
      const file = join(folder, name);
      await writeFile(file, text, { mode: 0o600 });
      if (identity) await chown(file, identity.uid, identity.gid);
    }
    const child = spawn(program as string, [join(folder, 'settings')], { ...identity, stdio: 'ignore' });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    stop = async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    };
    const { username: user, password } = app.initial;
    await (await connected({ port, database: app.name, user, password })).end();
  }

  async function pooled(credential: Credential): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      database: app.name,
      user: credential.identity,
      password: credential.secrets.password?.reveal() ?? '',
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
  const open = (at: number) =>
    postgresRotator.open(
      postgresRotator.provider?.parse(app.provider({ hosts: [{ host: '127.0.0.1', port: at }] })),
      postgresRotator.credential.parse({ mode: 'alternating-users', roles: app.roles, owner: app.owner }),
    );

  test('as the provider it is recognised and refused, and its shared connections are left as they were', async () => {
    const session = open(port);
    for (const work of [
      () => session.plan(aCall(), current),
      () => session.attempt(aCall(), current),
      () => session.usage(aCall(), current, new Date()),
    ]) {
      await expect(work()).rejects.toMatchObject({
        code: 'provider.unsupported',
        message: expect.stringContaining('PgBouncer'),
      });
    }
    await session.close();
    const client = await pooled(current);
    expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: '"$user", public' }]);
    await client.end();
  });

  test('consumers go through it, and follow the rotation by auth_query', async () => {
    const session = open(app.port);
    const before = await pooled(current);
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    const after = await pooled(pending);
    expect((await after.query('SELECT current_user AS me')).rows).toEqual([{ me: app.owner }]);
    expect((await before.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await after.end();
    await before.end();
    await session.revoke(aCall(), current, pending, new Date());
    await expect(pooled(current).then((client) => client.query('SELECT 1'))).rejects.toThrow();
    const still = await pooled(pending);
    expect((await still.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await still.end();
    await session.close();
  });
});
