import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../core/config.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { openLedger } from '../../ledger/database.ts';
import { assertSchema, MIGRATIONS } from '../../ledger/schema.ts';
import { queuedRotation } from '../../test/setup/ledger.ts';
import { freshDatabase } from '../../test/setup/postgres.ts';
import { consumeQueue, openQueue } from '../../workers/queue/queue.ts';
import { migrate } from './migrating.ts';

const everyMigration = readdirSync(MIGRATIONS)
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.replace(/\.sql$/, ''))
  .sort();

let database: Awaited<ReturnType<typeof freshDatabase>>;
let role: string;
let asRole: SecretValue;

beforeEach(async () => {
  database = await freshDatabase();
  role = `app_${randomBytes(5).toString('hex')}`;
  await asOwner(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  asRole = SecretValue.of(url.href);
});
afterEach(async () => {
  await asOwner(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

async function asOwner(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const config = () => readConfig({ ROTOR_DATABASE_URL: database.url, ROTOR_MODE: 'embedded' });

test('the granted role works with ledger and queue, and can change neither schema nor history', async () => {
  const done = await migrate(config(), silentLog, role);
  expect(done).toEqual({ applied: everyMigration, queue: true, granted: role });

  const ledger = openLedger({ url: asRole, log: silentLog });
  await assertSchema(ledger);
  const { id } = await queuedRotation(ledger);
  await appendAudit(ledger, { actor: 'test', action: 'test', subject: 'test' });
  const queue = await openQueue({ url: asRole, log: silentLog, migrate: false });
  const woken = Promise.withResolvers<string>();
  const consumer = await consumeQueue({
    url: asRole,
    log: silentLog,
    migrate: false,
    concurrency: 1,
    handle: async (rotation) => woken.resolve(rotation),
  });
  await queue.wake(id, 'start');
  expect(await woken.promise).toBe(id);
  await consumer.close();
  await queue.close();

  for (const forbidden of [
    'DELETE FROM rotor.audit',
    'TRUNCATE rotor.audit',
    'DROP TABLE rotor.journal',
    'CREATE TABLE rotor.mine (id int)',
    "INSERT INTO rotor.migrations (name, run_on) VALUES ('9999_x', now())",
    'DROP TABLE rotor_queue.job',
  ]) {
    const cause = { code: '42501' };
    await expect(ledger.query(forbidden), forbidden).rejects.toMatchObject({ cause });
  }
  await ledger.close();
});

test('the owner needs no more than to create schemas in its database', async () => {
  const owner = `owner_${randomBytes(5).toString('hex')}`;
  await asOwner(
    `CREATE ROLE ${owner} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE ${database.name} TO ${owner}`,
  );
  const url = new URL(database.url);
  url.username = owner;
  url.password = 'x';
  const limited = readConfig({ ROTOR_DATABASE_URL: url.href, ROTOR_MODE: 'embedded' });
  expect(await migrate(limited, silentLog, role)).toMatchObject({ granted: role });
  const ledger = openLedger({ url: asRole, log: silentLog });
  await assertSchema(ledger);
  await queuedRotation(ledger);
  await ledger.close();
  await asOwner(`DROP OWNED BY ${owner}; DROP ROLE ${owner}`);
});

test('run again, it finds nothing to do and takes no right away', async () => {
  await migrate(config(), silentLog, role);
  expect(await migrate(config(), silentLog, role)).toMatchObject({ applied: [] });
  const ledger = openLedger({ url: asRole, log: silentLog });
  await assertSchema(ledger);
  await ledger.close();
});

test('a ledger that nobody migrated is told from one that a later version has migrated', async () => {
  const ledger = openLedger({ url: SecretValue.of(database.url), log: silentLog });
  await expect(assertSchema(ledger)).rejects.toMatchObject({ code: 'ledger.schema-older' });
  await expect(openQueue({ url: asRole, log: silentLog, migrate: false })).rejects.toMatchObject({
    code: 'ledger.schema-older',
  });
  await migrate(config(), silentLog);
  await assertSchema(ledger);
  await asOwner("INSERT INTO rotor.migrations (name, run_on) VALUES ('9999_future', now())");
  await expect(assertSchema(ledger)).rejects.toMatchObject({
    code: 'ledger.schema-newer',
    message: expect.stringContaining('9999_future'),
  });
  await ledger.close();
});

test('a role without grants is told how to get them', async () => {
  await migrate(config(), silentLog);
  const ledger = openLedger({ url: asRole, log: silentLog });
  await expect(assertSchema(ledger)).rejects.toMatchObject({ hint: expect.stringContaining('--grant') });
  await ledger.close();
});

test('a role that is not there is named as the problem', async () => {
  await expect(migrate(config(), silentLog, 'nobody_here')).rejects.toMatchObject({
    code: 'ledger.not-found',
  });
});
