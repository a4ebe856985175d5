import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { findPostgres, makeTemplate, type Template, type TestServer } from '../setup/postgres-servers.ts';
import { type Stage, setStage } from './stage.ts';

const { bin, skipped } = findPostgres(18);
const FIRST_PASSWORD = 'first-password';
const MAY_LOG_IN = `SELECT rolname AS name FROM pg_roles WHERE rolcanlogin AND rolname IN ('blue', 'green') ORDER BY 1`;

describe.skipIf(skipped)(`the primary is lost in mid-rotation, its standby promoted${skipped}`, () => {
  let template: Template;
  let stage: Stage;
  let primary: TestServer;
  let standby: TestServer;
  const running = new Set<TestServer>();
  beforeAll(async () => {
    template = await makeTemplate(bin);
  });
  afterAll(() => template.remove());
  afterEach(async () => {
    await stage.stop();
    for (const server of running) await server.stop();
    running.clear();
  });

  async function aRotation(credential: object): Promise<string> {
    [stage, primary] = await Promise.all([setStage((ledgerUrl) => ledgerUrl), template.start()]);
    running.add(primary);
    standby = await primary.standby();
    running.add(standby);
    await primary.sql(`
      CREATE ROLE rotor LOGIN CREATEROLE PASSWORD 'admin-password';
      GRANT pg_signal_backend, pg_read_all_stats TO rotor;
      CREATE ROLE owner NOLOGIN;
      CREATE ROLE blue LOGIN PASSWORD '${FIRST_PASSWORD}' IN ROLE owner;
      CREATE ROLE green NOLOGIN IN ROLE owner;
      ALTER ROLE blue SET role = owner;
      ALTER ROLE green SET role = owner;
      GRANT blue, green, owner TO rotor WITH ADMIN OPTION`);
    const { app } = stage;
    const adminFile = join(app.folder, 'failover-admin');
    await writeFile(adminFile, 'admin-password', { mode: 0o600 });
    const initialFile = join(app.folder, 'failover-initial.json');
    await writeFile(initialFile, JSON.stringify({ username: 'blue', password: FIRST_PASSWORD }), {
      mode: 0o600,
    });
    const provider = {
      hosts: [primary, standby].map(({ port }) => ({ host: '127.0.0.1', port })),
      database: 'postgres',
      admin: { username: 'rotor', passwordFrom: { file: adminFile } },
    };
    const spec: Partial<RotationSpec> = {
      rotator: { kind: 'postgres', provider, credential },
      initialFrom: { file: initialFile },
      deliver: [],
      consumers: [],
    };
    return stage.startRotation(spec);
  }
  const inTurn = { mode: 'alternating-users', roles: ['blue', 'green'], owner: 'owner' };
  const single = { mode: 'single-user', role: 'blue', acknowledgeNoOverlap: true };

  /** From here on the standby hears nothing more of the primary. */
  async function cutOff(): Promise<void> {
    const [{ at }] = (await primary.sql<{ at: string }>('SELECT pg_current_wal_lsn() AS at')) as [
      { at: string },
    ];
    await expect
      .poll(() => standby.sql(`SELECT pg_last_wal_replay_lsn() >= '${at}' AS done`), { timeout: 20_000 })
      .toEqual([{ done: true }]);
    await standby.sql(`ALTER SYSTEM SET primary_conninfo = ''`);
    await standby.sql('SELECT pg_reload_conf()');
    await expect
      .poll(() => primary.sql('SELECT pid FROM pg_stat_replication'), { timeout: 20_000 })
      .toEqual([]);
  }

  async function killedAt(id: string, point: string): Promise<void> {
    const worker = await stage.startWorker({ point, signal: 'SIGKILL' });
    expect(await worker.exited, `${worker.output()}\n${await stage.journal(id)}`).toBe('SIGKILL');
  }

  async function failOver(): Promise<void> {
    running.delete(primary);
    await primary.stop();
    await standby.sql('SELECT pg_promote()');
  }

  async function logsIn(user: string, password: string): Promise<boolean> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: standby.port,
      database: 'postgres',
      user,
      password,
    });
    client.on('error', () => undefined);
    const accepted = await client.connect().then(
      () => true,
      () => false,
    );
    await client.end().catch(() => undefined);
    return accepted;
  }

  /** Another worker ends it at the promoted standby. @returns the journal */
  async function endedThere(id: string, fresh: string): Promise<string> {
    await stage.startWorker();
    const rotation = await stage.ended(id);
    const told = await stage.journal(id);
    expect(rotation, told).toMatchObject({ state: 'done' });
    expect(told).toContain('"oldRefused":true');
    expect(await logsIn('blue', FIRST_PASSWORD)).toBe(false);
    expect(await logsIn(fresh, await stage.storedPassword())).toBe(true);
    return told;
  }

  const AGAIN = {
    installed: /prove failed .*was refused; it was installed again/,
    revoked: /prove failed .*was still accepted; it was revoked again/,
  };

  test('right after install: the probe finds nothing of it, and it is installed again', async () => {
    const id = await aRotation(inTurn);
    await cutOff();
    await killedAt(id, 'forward:install:performed');
    expect(await primary.sql(MAY_LOG_IN)).toEqual([{ name: 'blue' }, { name: 'green' }]);
    await failOver();
    expect(await standby.sql(MAY_LOG_IN)).toEqual([{ name: 'blue' }]);
    const told = await endedThere(id, 'green');
    expect(told).toMatch(/install done (?!.*probed)/);
    expect(told).not.toContain('failed');
  });

  test('right after install, of which the standby had heard: the probe finds it, and nothing is repeated', async () => {
    const id = await aRotation(inTurn);
    await killedAt(id, 'forward:install:performed');
    await cutOff();
    await failOver();
    const told = await endedThere(id, 'green');
    expect(told).toMatch(/install done .*"probed":true/);
    expect(told).not.toContain('failed');
  });

  test('after a revocation of which the standby had not heard: prove revokes again', async () => {
    const id = await aRotation(inTurn);
    await killedAt(id, 'forward:revoke:announced');
    await cutOff();
    await killedAt(id, 'forward:prove:announced');
    await failOver();
    expect(await logsIn('blue', FIRST_PASSWORD)).toBe(true);
    const told = await endedThere(id, 'green');
    expect(told).toMatch(AGAIN.revoked);
    expect(told).not.toMatch(AGAIN.installed);
  });

  test.each([
    ['two users in turn', inTurn, 'green', [AGAIN.installed, AGAIN.revoked]],
    ['one user', single, 'blue', [AGAIN.installed]],
  ] as const)(
    'back to before the rotation (%s): prove does all of it again',
    async (_mode, credential, fresh, events) => {
      const id = await aRotation(credential);
      await cutOff();
      await killedAt(id, 'forward:prove:announced');
      await failOver();
      expect(await logsIn('blue', FIRST_PASSWORD)).toBe(true);
      const told = await endedThere(id, fresh);
      for (const event of events) expect(told).toMatch(event);
    },
  );
});
