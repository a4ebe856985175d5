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
import { sampled } from '../setup/matrix.ts';
import { findPostgres, SUPERUSER, startPostgres, type TestServer } from '../setup/postgres-servers.ts';

type AdminName = 'postgres' | 'rotor' | 'itself';

interface Setup {
  /** `rotor` has CREATEROLE and isn't a superuser; `itself`: the provider names no admin. */
  readonly admin?: AdminName;
  /** Whether `rotor` has ADMIN OPTION on the roles that it didn't make, which it needs from 16 on. */
  readonly granted?: boolean;
  readonly ports?: readonly number[];
}

interface App {
  readonly current: Credential;
  readonly blue: string;
  readonly green: string;
  readonly owner: string;
  alternating(): RotatorSession;
  single(): RotatorSession;
}

const versions = sampled([12, 14, 15, 16, 17, 18], 5).map(findPostgres);
const servers = new Map<number, Promise<TestServer>>();
// All at once, since what takes long is to make their files.
beforeAll(() => {
  for (const { version, bin } of versions) {
    if (!bin) continue;
    const server = startPostgres(bin);
    server.catch(() => undefined);
    servers.set(version, server);
  }
});
afterAll(async () => {
  for (const server of servers.values()) await (await server.catch(() => undefined))?.stop();
});

for (const { version, skipped } of versions) {
  describe.skipIf(skipped)(`PostgreSQL ${version}${skipped}`, () => {
    let primary: TestServer;
    let folder: string;
    let turn = 0;
    const sessions: RotatorSession[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'rotor-admin-'));
      await writeFile(join(folder, 'rotor'), 'admin-password', { mode: 0o600 });
      await writeFile(join(folder, 'postgres'), SUPERUSER.password, { mode: 0o600 });
      primary = await (servers.get(version) as Promise<TestServer>);
      await primary.sql(`
        CREATE ROLE rotor LOGIN CREATEROLE PASSWORD 'admin-password';
        GRANT pg_signal_backend, pg_read_all_stats TO rotor`);
    });
    afterEach(async () => {
      for (const session of sessions.splice(0)) await session.close();
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    /** An application's roles, of which the second is made by Rotor. */
    async function anApp({ admin = 'rotor', granted = true, ports }: Setup = {}): Promise<App> {
      turn += 1;
      const [blue, green, owner] = [`app${turn}_blue`, `app${turn}_green`, `app${turn}_owner`];
      await primary.sql(`
        CREATE ROLE ${owner} NOLOGIN;
        CREATE ROLE ${blue} LOGIN PASSWORD 'first-password' IN ROLE ${owner};
        ALTER ROLE ${blue} SET role = ${owner}`);
      if (granted && version >= 16) await primary.sql(`GRANT ${blue}, ${owner} TO rotor WITH ADMIN OPTION`);
      const provider = postgresRotator.provider?.parse({
        hosts: (ports ?? [primary.port]).map((port) => ({ host: '127.0.0.1', port })),
        database: 'postgres',
        ...(admin !== 'itself' && {
          admin: { username: admin, passwordFrom: { file: join(folder, admin) } },
        }),
      });
      const open = (spec: object) => {
        const session = postgresRotator.open(provider, postgresRotator.credential.parse(spec));
        sessions.push(session);
        return session;
      };
      const secrets = { password: SecretValue.of('first-password') };
      return {
        current: { versionId: 'v0', identity: blue, fields: {}, secrets },
        ...{ blue, green, owner },
        alternating: () => open({ mode: 'alternating-users', roles: [blue, green], owner }),
        single: () => open({ mode: 'single-user', role: blue, acknowledgeNoOverlap: true }),
      };
    }

    async function consumer({ identity, secrets }: Credential): Promise<pg.Client> {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: primary.port,
        database: 'postgres',
        user: identity,
        password: secrets.password?.reveal() ?? '',
      });
      client.on('error', () => undefined);
      await client.connect();
      return client;
    }

    test('it is the version that it should be', async () => {
      const [{ major }] = (await primary.sql<{ major: number }>(
        "SELECT current_setting('server_version_num')::int / 10000 AS major",
      )) as [{ major: number }];
      expect(major).toBe(version);
    });

    describe.each<AdminName>(['postgres', 'rotor'])('two users in turn, changed by %s', (admin) => {
      test('a whole turn, and the way back from the next', async () => {
        const { current, owner, alternating } = await anApp({ admin });
        const session = alternating();
        const plan = await session.plan(aCall(), current);
        expect(plan.warnings).toEqual([]);
        const pending = await session.generate(aCall(), 'v1', current);
        for (let times = 0; times < 2; times += 1) await session.install(aCall(), pending, current);
        expect(await session.attempt(aCall(), pending)).toBe('accepted');
        expect(await session.attempt(aCall(), current)).toBe('accepted');

        const [old, fresh] = [await consumer(current), await consumer(pending)];
        expect((await fresh.query('SELECT current_user AS me')).rows).toEqual([{ me: owner }]);
        expect((await session.usage(aCall(), current, new Date())).sessions).toBe(1);
        const ended = new Promise((resolve) => old.once('end', resolve));
        for (let times = 0; times < 2; times += 1)
          await session.revoke(aCall(), current, pending, new Date());
        await ended;
        expect((await fresh.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        await fresh.end();
        expect(await session.attempt(aCall(), current)).toBe('refused');
        expect(await session.attempt(aCall(), pending)).toBe('accepted');

        expect((await session.plan(aCall(), pending)).warnings).toEqual([]);
        const next = await session.generate(aCall(), 'v2', pending);
        expect(next.identity).toBe(current.identity);
        await session.install(aCall(), next, pending);
        expect(await session.attempt(aCall(), next)).toBe('accepted');
        await session.uninstall(aCall(), next, pending);
        expect(await session.attempt(aCall(), next)).toBe('refused');
        expect(await session.attempt(aCall(), pending)).toBe('accepted');
      });

      test('roles that are missing are made, and rotated again afterwards', async () => {
        const { blue, green, owner, alternating } = await anApp({ admin });
        await primary.sql(`DROP ROLE ${blue}; DROP ROLE ${owner}`);
        const session = alternating();
        await session.plan(aCall(), undefined);
        const first = await session.generate(aCall(), 'v1', undefined);
        await session.install(aCall(), first, undefined);
        await session.plan(aCall(), first);
        const second = await session.generate(aCall(), 'v2', first);
        await session.install(aCall(), second, first);
        await session.revoke(aCall(), first, second, new Date());
        expect(new Set([first.identity, second.identity])).toEqual(new Set([blue, green]));
        expect(await session.attempt(aCall(), first)).toBe('refused');
        expect(await session.attempt(aCall(), second)).toBe('accepted');
        const client = await consumer(second);
        expect((await client.query('SELECT current_user AS me')).rows).toEqual([{ me: owner }]);
        await client.end();
      });
    });

    if (version < 16) {
      test('CREATEROLE alone is enough', async () => {
        const { current, alternating } = await anApp({ granted: false });
        const session = alternating();
        expect((await session.plan(aCall(), current)).warnings).toEqual([]);
        const pending = await session.generate(aCall(), 'v1', current);
        await session.install(aCall(), pending, current);
        await session.revoke(aCall(), current, pending, new Date());
        expect(await session.attempt(aCall(), pending)).toBe('accepted');
        expect(await session.attempt(aCall(), current)).toBe('refused');
      });
    } else {
      test('CREATEROLE alone is refused by plan, with the statements that help', async () => {
        const { current, blue, owner, alternating } = await anApp({ granted: false });
        const session = alternating();
        for (const role of [blue, owner]) {
          const refused = await session.plan(aCall(), current).catch((thrown: unknown) => thrown);
          expect(refused).toMatchObject({
            code: 'provider.permission-denied',
            message: expect.stringContaining(role),
          });
          const [, statement] = /^Run as a superuser: (.*;)$/.exec((refused as { hint: string }).hint) ?? [];
          await primary.sql(statement ?? '');
        }
        expect((await session.plan(aCall(), current)).warnings).toEqual([]);
        const pending = await session.generate(aCall(), 'v1', current);
        await session.install(aCall(), pending, current);
        await session.revoke(aCall(), current, pending, new Date());
        expect(await session.attempt(aCall(), pending)).toBe('accepted');
        expect(await session.attempt(aCall(), current)).toBe('refused');
      });
    }

    describe.each<AdminName>(['postgres', 'rotor', 'itself'])('one user, changed by %s', (admin) => {
      test('the old password is replaced, its sessions end, newer ones stay', async () => {
        const { current, single } = await anApp({ admin });
        const session = single();
        await session.plan(aCall(), current);
        const old = await consumer(current);
        const pending = await session.generate(aCall(), 'v1', current);
        for (let times = 0; times < 2; times += 1) await session.install(aCall(), pending, current);
        const [{ now }] = (await primary.sql<{ now: Date }>('SELECT clock_timestamp() AS now')) as [
          { now: Date },
        ];
        const young = await consumer(pending);
        expect(await session.attempt(aCall(), pending)).toBe('accepted');
        expect(await session.attempt(aCall(), current)).toBe('refused');
        const ended = new Promise((resolve) => old.once('end', resolve));
        for (let times = 0; times < 2; times += 1) await session.revoke(aCall(), current, pending, now);
        await ended;
        expect((await young.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        await young.end();
      });

      test('undone, the old password is back', async () => {
        const { current, single } = await anApp({ admin });
        const session = single();
        const pending = await session.generate(aCall(), 'v1', current);
        await session.install(aCall(), pending, current);
        for (let times = 0; times < 2; times += 1) await session.uninstall(aCall(), pending, current);
        expect(await session.attempt(aCall(), current)).toBe('accepted');
        expect(await session.attempt(aCall(), pending)).toBe('refused');
      });
    });

    test('a superuser among the roles is refused before anything is changed', async () => {
      const { current, blue, alternating } = await anApp();
      await primary.sql(`ALTER ROLE ${blue} SUPERUSER`);
      await expect(alternating().plan(aCall(), current)).rejects.toMatchObject({
        code: 'provider.permission-denied',
        hint: expect.stringContaining('NOSUPERUSER'),
      });
    });

    test('a worker that a later one has overtaken is fenced off by the server', async () => {
      const { current, alternating } = await anApp();
      const session = alternating();
      const [early, late] = [aCall(), aCall()];
      const pending = await session.generate(early, 'v1', current);
      await session.install(late, pending, current);
      await expect(session.uninstall(early, pending, current)).rejects.toMatchObject({
        code: 'ledger.fenced',
      });
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
    });

    test('an admin that may not see the details of sessions still counts them', async () => {
      await primary.sql('REVOKE pg_read_all_stats FROM rotor');
      const { current, alternating } = await anApp();
      const client = await consumer(current);
      expect((await alternating().usage(aCall(), current, new Date())).sessions).toBe(1);
      await client.end();
      await primary.sql('GRANT pg_read_all_stats TO rotor');
    });

    describe('with a standby that lags', () => {
      let standby: TestServer;
      beforeAll(async () => {
        standby = await primary.standby();
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
        const { current, alternating } = await anApp({ ports: [standby.port, primary.port] });
        const session = alternating();
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
          .poll(() => primary.sql('SELECT sync_state AS state FROM pg_stat_replication'), { timeout: 20_000 })
          .toEqual([{ state: 'sync' }]);
        const { current, alternating } = await anApp();
        const session = alternating();
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
}
