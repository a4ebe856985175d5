import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import type { RotatorSession } from '../rotator.ts';
import { postgresRotator } from './rotator.ts';

let app: Application;
let current: Credential;
const sessions: RotatorSession[] = [];

function open(provider: object): RotatorSession {
  const spec = { mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true };
  const session = postgresRotator.open(
    postgresRotator.provider?.parse(provider),
    postgresRotator.credential.parse(spec),
  );
  sessions.push(session);
  return session;
}

beforeEach(async () => {
  app = await anApplication();
  const { username, password } = app.initial;
  current = {
    versionId: 'v0',
    identity: username,
    fields: { username },
    secrets: { password: SecretValue.of(password) },
  };
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
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

describe.each([
  ['by an admin', () => app.provider()],
  ['by the role itself', () => app.provider({ admin: undefined })],
])('one user, its password changed %s', (_by, provider) => {
  test('a pending password is kept where nothing else may log in to replace it', () => {
    const spec = provider();
    expect(open(spec).capabilities.needsPending).toBe('admin' in spec && spec.admin ? undefined : true);
  });

  test('the new password is accepted, the old one refused, its sessions ended and newer ones kept', async () => {
    const session = open(provider());
    const plan = await session.plan(aCall(), current);
    expect(plan.warnings.join()).toContain('no overlap');
    const old = await loggedIn(current);
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    await session.install(aCall(), pending, current);
    const [{ now }] = (await app.sql<{ now: Date }>('SELECT clock_timestamp() AS now')) as [{ now: Date }];
    const young = await loggedIn(pending);
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
    expect(await session.attempt(aCall(), current)).toBe('refused');

    const ended = new Promise((resolve) => old.once('end', resolve));
    await session.revoke(aCall(), current, pending, now);
    await session.revoke(aCall(), current, pending, now);
    await ended;
    expect((await young.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await young.end();
  });

  test('sessions from before the change are ended although the clock of the server is an hour ahead', async () => {
    const session = open(provider());
    const hourBehind = { ...systemClock, now: () => new Date(Date.now() - 3_600_000) };
    const old = await loggedIn(current);
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    const call = aCall({ clock: hourBehind });
    const ended = new Promise((resolve) => old.once('end', resolve));
    await session.revoke(call, current, pending, new Date(hourBehind.now().getTime() + 1));
    await ended;
  });

  test('the password in use is never taken for the one to revoke', async () => {
    const session = open(provider());
    const same = { ...current, versionId: 'v1' };
    await expect(session.revoke(aCall(), current, same, new Date())).rejects.toMatchObject({
      code: 'internal.bug',
    });
    expect(await session.attempt(aCall(), current)).toBe('accepted');
  });

  test('undoing brings the current password back', async () => {
    const session = open(provider());
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    await session.uninstall(aCall(), pending, current);
    await session.uninstall(aCall(), pending, current);
    expect(await session.attempt(aCall(), current)).toBe('accepted');
    expect(await session.attempt(aCall(), pending)).toBe('refused');
  });
});

test('without admin and without a current credential there is nothing to begin with', async () => {
  await expect(open(app.provider({ admin: undefined })).plan(aCall(), undefined)).rejects.toMatchObject({
    code: 'provider.refused-admin',
    hint: expect.stringContaining('initialFrom'),
  });
});

test('the gap must be acknowledged in the policy', () => {
  const parsed = postgresRotator.credential.safeParse({ mode: 'single-user', role: 'app' });
  expect(parsed.success).toBe(false);
});
