import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { postgresRotator } from '../../rotators/postgres/rotator.ts';
import type { RotatorSession } from '../../rotators/rotator.ts';
import { aCall } from '../setup/call.ts';
import { olderPostgres, startDebianPostgres, type TestServer } from './rotators-debian-postgres.ts';

const skipped = 'skipped' in olderPostgres ? olderPostgres.skipped : undefined;
const bin = 'bin' in olderPostgres ? olderPostgres.bin : '';

describe.skipIf(skipped)(`PostgreSQL before 16${skipped ? ` (${skipped})` : ''}`, () => {
  let primary: TestServer;
  let folder: string;
  let turn = 0;
  const sessions: RotatorSession[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-admin-'));
    await writeFile(join(folder, 'admin'), 'admin-password', { mode: 0o600 });
    primary = await startDebianPostgres(bin);
    await primary.sql(`
      CREATE ROLE rotor LOGIN CREATEROLE PASSWORD 'admin-password';
      GRANT pg_signal_backend, pg_read_all_stats TO rotor`);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
  });
  afterAll(async () => {
    await primary.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Roles that the admin was never granted: before 16, CREATEROLE alone is enough. */
  async function anApp(
    ...ports: number[]
  ): Promise<{ session: RotatorSession; current: Credential; roles: string[] }> {
    turn += 1;
    const [blue, green, owner] = ['blue', 'green', 'owner'].map((role) => `app${turn}_${role}`) as [
      string,
      string,
      string,
    ];
    await primary.sql(`
      CREATE ROLE ${owner} NOLOGIN;
      CREATE ROLE ${blue} LOGIN PASSWORD 'first-password' IN ROLE ${owner};
      ALTER ROLE ${blue} SET role = ${owner}`);
    const provider = postgresRotator.provider?.parse({
      hosts: (ports.length > 0 ? ports : [primary.port]).map((port) => ({ host: '127.0.0.1', port })),
      database: 'postgres',
      admin: { username: 'rotor', passwordFrom: { file: join(folder, 'admin') } },
    });
    const spec = { mode: 'alternating-users', roles: [blue, green], owner };
    const session = postgresRotator.open(provider, postgresRotator.credential.parse(spec));
    sessions.push(session);
    const secrets = { password: SecretValue.of('first-password') };
    return {
      session,
      current: { versionId: 'v0', identity: blue, fields: {}, secrets },
      roles: [blue, green, owner],
    };
  }

  test('CREATEROLE alone is enough for a whole turn and the way back', async () => {
    const { session, current } = await anApp();
    expect((await session.plan(aCall(), current)).warnings).toEqual([]);
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
    await session.revoke(aCall(), current, pending, new Date());
    expect(await session.attempt(aCall(), current)).toBe('refused');
    await session.plan(aCall(), pending);
    const next = await session.generate(aCall(), 'v2', pending);
    await session.install(aCall(), next, pending);
    await session.uninstall(aCall(), next, pending);
    expect(await session.attempt(aCall(), next)).toBe('refused');
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
  });

  test('a superuser among the roles is refused before anything is changed', async () => {
    const { session, current, roles } = await anApp();
    await primary.sql(`ALTER ROLE ${roles[0]} SUPERUSER`);
    await expect(session.plan(aCall(), current)).rejects.toMatchObject({
      code: 'provider.permission-denied',
      hint: expect.stringContaining('NOSUPERUSER'),
    });
  });

  test('an admin that may not see the details of sessions still counts them', async () => {
    await primary.sql('REVOKE pg_read_all_stats FROM rotor');
    const { session, current } = await anApp();
    const consumer = new pg.Client({
      host: '127.0.0.1',
      port: primary.port,
      database: 'postgres',
      user: current.identity,
      password: 'first-password',
    });
    await consumer.connect();
    expect((await session.usage(aCall(), current, new Date())).sessions).toBe(1);
    await consumer.end();
    await primary.sql('GRANT pg_read_all_stats TO rotor');
  });

  describe('with a standby that lags', () => {
    let standby: TestServer;
    beforeAll(async () => {
      standby = await startDebianPostgres(bin, primary.port);
    });
    afterAll(async () => {
      await primary.sql('ALTER SYSTEM RESET synchronous_standby_names');
      await primary.sql('SELECT pg_reload_conf()');
      await standby.stop();
    });
    const caughtUp = async () => {
      const [{ at }] = (await primary.sql<{ at: string }>('SELECT pg_current_wal_lsn() AS at')) as [
        { at: string },
      ];
      await expect
        .poll(() => standby.sql(`SELECT pg_last_wal_replay_lsn() >= '${at}' AS done`), { timeout: 20_000 })
        .toEqual([{ done: true }]);
    };

    test('changes and proofs go to the primary, wherever it stands in the list', async () => {
      const { session, current } = await anApp(standby.port, primary.port);
      await caughtUp();
      const plan = await session.plan(aCall(), current);
      expect(plan.warnings.join()).toContain('asynchronously');
      const pending = await session.generate(aCall(), 'v1', current);
      expect(pending.fields).toMatchObject({ port: `${standby.port},${primary.port}` });
      await standby.sql('SELECT pg_wal_replay_pause()');
      await session.install(aCall(), pending, current);
      // The standby has never heard of it, and would still take the old one.
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
      await session.revoke(aCall(), current, pending, new Date());
      expect(await session.attempt(aCall(), current)).toBe('refused');
      await standby.sql('SELECT pg_wal_replay_resume()');
    });

    test('a synchronous standby has applied the change before it is reported; until then nobody knows', async () => {
      await primary.sql(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
      await primary.sql('SELECT pg_reload_conf()');
      await expect
        .poll(() => primary.sql('SELECT sync_state AS state FROM pg_stat_replication'))
        .toEqual([{ state: 'sync' }]);
      const { session, current } = await anApp();
      await caughtUp();
      expect((await session.plan(aCall(), current)).warnings).toEqual([]);
      const pending = await session.generate(aCall(), 'v1', current);
      await standby.sql('SELECT pg_wal_replay_pause()');
      await expect(
        session.install(aCall({ deadline: Deadline.after(800) }), pending, current),
      ).rejects.toMatchObject({ code: 'call.timeout', kind: 'ambiguous' });
      await standby.sql('SELECT pg_wal_replay_resume()');
      await session.install(aCall(), pending, current);
      expect(
        await standby.sql(`SELECT rolcanlogin AS may FROM pg_roles WHERE rolname = '${pending.identity}'`),
      ).toEqual([{ may: true }]);
    });
  });
});
