import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readReports, totalsOf } from '../../sandbox/demo/reports.ts';
import { freshDatabase } from '../setup/postgres.ts';

const CLIENT = fileURLToPath(new URL('../../sandbox/demo/client.ts', import.meta.url));
let database: Awaited<ReturnType<typeof freshDatabase>>;
let reports: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  database = await freshDatabase();
  reports = await mkdtemp(join(tmpdir(), 'rotor-reports-'));
  const connection = new pg.Client({ connectionString: database.url });
  await connection.connect();
  await connection.query(`
    CREATE SCHEMA shop;
    CREATE TABLE shop.products (id integer);
    CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client text, amount integer)`);
  await connection.end();
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) await ended('SIGKILL');
  await database.drop();
  await rm(reports, { recursive: true, force: true });
});

test('told to end, a client pod has said its last number: as many as there are rows', async () => {
  start(environment(new URL(database.url).password));
  await expect.poll(queries, { timeout: 20_000 }).toBeGreaterThan(10);
  await ended('SIGTERM');
  expect(await readReports(reports)).toMatchObject([
    { pod: 'pod-1', app: 'web', version: 'v1', failures: 0, queries: await rows(), ended: true },
  ]);
});

test('a failure is written down at once: a client that is killed has still reported it, and that it never ended', async () => {
  start(environment('not the password'));
  await expect.poll(failures, { timeout: 20_000 }).toBeGreaterThan(0);
  await ended('SIGKILL');
  const totals = totalsOf(await readReports(reports));
  expect(totals.failures).toBeGreaterThan(0);
  expect(totals.lastFailures.join()).toContain('password authentication failed');
  expect(totals.running).toEqual(['pod-1']);
});

test('a mounted Secret is read as one version', async () => {
  const folder = join(reports, 'mounted');
  await mkdir(join(folder, '..version'), { recursive: true });
  await symlink('..version', join(folder, '..data'));
  for (const [name, value] of Object.entries(environment(new URL(database.url).password)))
    await writeFile(join(folder, '..version', name.slice('DB_'.length)), value);
  start({ DB_FOLDER: folder });
  await expect.poll(queries, { timeout: 20_000 }).toBeGreaterThan(0);
  await ended('SIGTERM');
  expect(await readReports(reports)).toMatchObject([{ version: 'v1', failures: 0, ended: true }]);
});

function environment(password: string): Record<string, string> {
  const { hostname, port, username } = new URL(database.url);
  return {
    DB_host: hostname,
    DB_port: port,
    DB_dbname: database.name,
    DB_username: username,
    DB_password: password,
    DB_versionId: 'v1',
  };
}

function start(env: Readonly<Record<string, string>>): void {
  child = spawn(process.execPath, [CLIENT], {
    env: {
      PATH: process.env.PATH,
      POD: 'pod-1',
      APP: 'web',
      REPORTS: reports,
      ROTOR_SANDBOX_PORT_HTTP: '0',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function ended(signal: NodeJS.Signals): Promise<void> {
  child?.kill(signal);
  await once(child as ChildProcess, 'exit');
}

async function queries(): Promise<number> {
  return totalsOf(await readReports(reports)).queries;
}

async function failures(): Promise<number> {
  return totalsOf(await readReports(reports)).failures;
}

async function rows(): Promise<number> {
  const connection = new pg.Client({ connectionString: database.url });
  await connection.connect();
  const { rows: counted } = await connection.query('SELECT count(*)::integer AS count FROM shop.orders');
  await connection.end();
  return counted[0].count;
}
