import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { postgresRotator } from './rotator.ts';

let app: Application;
let consumer: pg.Client;

beforeEach(async () => {
  app = await anApplication();
  const { username: user, password } = app.initial;
  consumer = new pg.Client({ host: '127.0.0.1', port: app.port, database: app.name, user, password });
  consumer.on('error', () => undefined);
  await consumer.connect();
});
afterEach(async () => {
  await consumer.end();
  await app.drop();
});

function open() {
  return postgresRotator.open(
    postgresRotator.provider?.parse(app.provider()),
    postgresRotator.credential.parse({ mode: 'alternating-users', roles: app.roles, owner: app.owner }),
  );
}
function inUse(): Credential {
  const { username, password } = app.initial;
  return {
    versionId: 'v0',
    identity: username,
    fields: { username },
    secrets: { password: SecretValue.of(password) },
  };
}

test('an admin that may not see the details of sessions still counts them', async () => {
  await app.sql(`
    REVOKE pg_read_all_stats FROM ${app.admin};
    GRANT ${app.roles[0]} TO ${app.admin} WITH INHERIT FALSE`);
  const session = open();
  const usage = await session.usage(aCall(), inUse(), new Date());
  await session.close();
  expect(usage.sessions).toBe(1);
});

test('sessions are counted in every database of the server', async () => {
  const session = open();
  const elsewhere = new pg.Client({
    host: '127.0.0.1',
    port: app.port,
    database: 'postgres',
    user: app.initial.username,
    password: app.initial.password,
  });
  elsewhere.on('error', () => undefined);
  await elsewhere.connect();
  expect((await session.usage(aCall(), inUse(), new Date())).sessions).toBe(2);
  await elsewhere.end();
  await session.close();
});
