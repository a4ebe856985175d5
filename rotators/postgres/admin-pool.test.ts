import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import type { Sharing } from '../rotator.ts';
import { postgresRotator } from './rotator.ts';
import type { CredentialSpec, ProviderSpec } from './spec.ts';

let app: Application;
let sharing: Sharing<ProviderSpec, CredentialSpec>;

beforeEach(async () => {
  app = await anApplication();
  sharing = postgresRotator.sharing?.() as typeof sharing;
});
afterEach(async () => {
  await sharing.close();
  await app.drop();
});

const open = (provider: object = {}) =>
  sharing.open(
    postgresRotator.provider?.parse(app.provider(provider)),
    postgresRotator.credential.parse({ mode: 'alternating-users', roles: app.roles, owner: app.owner }),
  );
const leaked = () => ({
  versionId: 'v0',
  identity: app.initial.username,
  fields: {},
  secrets: { password: SecretValue.of(app.initial.password) },
});
const adminPids = async () =>
  (await app.sql<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE usename = '${app.admin}'`)).map(
    ({ pid }) => pid,
  );
const use = async (session: ReturnType<typeof open>) => session.usage(aCall(), leaked(), new Date());

test('sessions that follow each other use one connection of the admin', async () => {
  const pids = new Set<number>();
  for (let turn = 0; turn < 3; turn += 1) {
    const session = open();
    await use(session);
    for (const pid of await adminPids()) pids.add(pid);
    await session.close();
  }
  expect(pids.size).toBe(1);
});

test('sessions at the same time have a connection each', async () => {
  const [one, other] = [open(), open()];
  await Promise.all([use(one), use(other)]);
  expect(await adminPids()).toHaveLength(2);
  await Promise.all([one.close(), other.close()]);
  expect(await adminPids()).toHaveLength(2);
});

test('a connection that the server has ended is opened anew, in use and not', async () => {
  const session = open();
  await use(session);
  const [first] = await adminPids();
  await app.sql(`SELECT pg_terminate_backend(${first})`);
  await expect.poll(adminPids).toEqual([]);
  await expect
    .poll(() =>
      use(session).then(
        () => 'answered',
        () => 'failed',
      ),
    )
    .toBe('answered');
  await session.close();
  const [second] = await adminPids();
  await app.sql(`SELECT pg_terminate_backend(${second})`);
  await expect.poll(adminPids).toEqual([]);
  const next = open();
  await expect
    .poll(() =>
      use(next).then(
        () => 'answered',
        () => 'failed',
      ),
    )
    .toBe('answered');
  await next.close();
});

test('a containment that failed leaves nothing behind on the connection for the next one', async () => {
  const session = open();
  await session.contain?.(aCall({ fence: 1_000n }), leaked());
  await expect(session.contain?.(aCall({ fence: 1n }), leaked())).rejects.toMatchObject({
    code: 'ledger.fenced',
  });
  await session.close();
  const next = open();
  await next.contain?.(aCall({ fence: 1_001n }), leaked());
  expect(await next.attempt(aCall(), leaked())).toBe('refused');
  expect(await adminPids()).toHaveLength(1);
  await next.close();
});

test('another admin gets a connection of its own', async () => {
  const one = open();
  await use(one);
  await one.close();
  const second = open({ admin: { username: 'postgres', passwordFrom: { file: app.adminFile } } });
  await expect(use(second)).rejects.toMatchObject({ code: 'provider.refused-admin' });
  await second.close();
});

test('in the end no connection is left, whoever still works then included', async () => {
  const [idle, busy] = [open(), open()];
  await Promise.all([use(idle), use(busy)]);
  await idle.close();
  await sharing.close();
  await busy.close();
  await expect.poll(adminPids).toEqual([]);
});
