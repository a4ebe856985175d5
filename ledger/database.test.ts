import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { SecretValue } from '../core/secret.ts';
import { freshDatabase } from '../test/setup/postgres.ts';
import { migrateLedger, openLedger } from './database.ts';

test('several processes may start on an empty database at once', async () => {
  const database = await freshDatabase();
  const url = SecretValue.of(database.url);
  await Promise.all(Array.from({ length: 5 }, () => migrateLedger(url, silentLog)));
  const ledger = openLedger({ url, log: silentLog });
  const applied = await ledger.query<{ name: string }>('SELECT name FROM rotor.migrations ORDER BY id');
  const files = await readdir(new URL('migrations', import.meta.url));
  expect(applied.map(({ name }) => `${name}.sql`)).toEqual(files.toSorted());
  await ledger.close();
  await database.drop();
});

test('an unreachable database is retryable and its password is in no message', async () => {
  const url = SecretValue.of('postgres://rotor:p4ssw0rd-marker@127.0.0.1:1/none');
  const error = await migrateLedger(url, silentLog).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'ledger.unavailable', kind: 'retryable' });
  expect(JSON.stringify(error) + error.message + error.stack).not.toContain('p4ssw0rd-marker');
});

test('a wrong password says which setting to look at', async () => {
  const database = await freshDatabase();
  const url = new URL(database.url);
  url.password = 'wrong';
  await expect(migrateLedger(SecretValue.of(url.href), silentLog)).rejects.toMatchObject({
    code: 'ledger.unavailable',
    kind: 'terminal',
    hint: expect.stringContaining('ROTOR_DATABASE_URL'),
  });
  await database.drop();
});
