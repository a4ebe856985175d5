import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { startTcpProxy, type TcpProxy } from '../../test/setup/tcp-proxy.ts';
import { noVault, stopTestVault } from '../../test/setup/vault.ts';
import { aStaticRole, type StaticRole } from '../../test/setup/vault-database.ts';
import type { RotatorSession } from '../rotator.ts';
import { vaultDatabaseRotator } from './rotator.ts';
import { credentialSpec, providerSpec } from './spec.ts';

let app: Application;
let role: StaticRole;
let proxy: TcpProxy;
let session: RotatorSession;

const open = (credential: object = role.credential, provider: object = {}) =>
  vaultDatabaseRotator.open(
    providerSpec.parse({ ...role.provider, address: `http://127.0.0.1:${proxy.port}`, ...provider }),
    credentialSpec.parse(credential),
  );

async function current(): Promise<Credential> {
  const { username, password } = await role.held();
  return {
    versionId: 'v0',
    identity: username,
    fields: { username },
    secrets: { password: SecretValue.of(password) },
  };
}

const holds = async (credential: Credential) =>
  (await role.held()).password === credential.secrets.password?.reveal();

describe.skipIf(noVault)(`a static role of Vault${noVault ? ` (${noVault})` : ''}`, () => {
  beforeEach(async () => {
    app = await anApplication();
    role = await aStaticRole(app);
    proxy = await startTcpProxy(Number(new URL(role.vault.address).port));
    session = open();
  });
  afterEach(async () => {
    await session.close();
    await proxy.close();
    await app.drop();
  });
  afterAll(stopTestVault);

  test('an answer that was lost is found in what Vault holds, and Vault rotates no second time', async () => {
    const old = await current();
    proxy.cutAfter('rotate-role/app');
    await expect(session.generate(aCall(), 'v1', old)).rejects.toMatchObject({ kind: 'ambiguous' });
    const made = await current();
    expect(await session.attempt(aCall(), old)).toBe('refused');
    const found = await session.generate(aCall(), 'v1', old);
    expect(found.secrets.password?.equals(made.secrets.password as SecretValue)).toBe(true);
    expect(await holds(found)).toBe(true);
  });

  test('a call that never reached Vault changed nothing, and is made again', async () => {
    const old = await current();
    proxy.cutBefore('rotate-role/app');
    await expect(session.generate(aCall(), 'v1', old)).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(await session.attempt(aCall(), old)).toBe('accepted');
    const made = await session.generate(aCall(), 'v1', old);
    expect(await session.attempt(aCall(), made)).toBe('accepted');
  });

  test('what somebody else let Vault rotate meanwhile is not taken for the one that was staged', async () => {
    const old = await current();
    const pending = await session.generate(aCall(), 'v1', old);
    await role.rotate();
    await expect(session.install(aCall(), pending, old)).rejects.toMatchObject({
      code: 'provider.rejects-generated',
      hint: expect.stringContaining('rotation_period'),
    });
    const next = await session.generate(aCall(), 'v2', old);
    expect(await holds(next)).toBe(true);
    await session.install(aCall(), next, old);
  });

  test('a password that the database refuses, though Vault holds it, is not taken over', async () => {
    await app.sql(`ALTER ROLE ${app.roles[0]} PASSWORD 'by-hand'`);
    const byHand = { ...(await current()), secrets: { password: SecretValue.of('by-hand') } };
    const before = await current();
    const { actions } = await session.plan(aCall(), byHand);
    expect(actions.join()).toContain('let Vault rotate app');
    const made = await session.generate(aCall(), 'v1', byHand);
    expect(made.secrets.password?.equals(before.secrets.password as SecretValue)).toBe(false);
    expect(await session.attempt(aCall(), made)).toBe('accepted');
  });

  test('a database that is away is no answer of Vault: it may happen later', async () => {
    const old = await current();
    await role.vault.call('POST', `${role.mount}/config/shop`, {
      plugin_name: 'postgresql-database-plugin',
      connection_url: 'postgresql://{{username}}:{{password}}@127.0.0.1:1/shop?sslmode=disable',
      verify_connection: false,
      allowed_roles: '*',
    });
    const error = await session.generate(aCall(), 'v1', old).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: 'ambiguous', message: expect.stringContaining('goes on trying') });
    expect(inspect(error, { depth: 9 })).not.toContain(old.secrets.password?.reveal());
  });

  test('the documented policy is enough; without a part of it plan names path and capability', async () => {
    const read = `path "${role.mount}/static-creds/app" { capabilities = ["read"] }`;
    const rotate = `path "${role.mount}/rotate-role/app" { capabilities = ["update"] }`;
    await role.restrict(`${read}\n${rotate}`);
    const old = await current();
    await session.plan(aCall(), old);
    await session.generate(aCall(), 'v1', old);
    await session.close();
    await role.restrict(read);
    session = open();
    await expect(session.plan(aCall(), await current())).rejects.toMatchObject({
      code: 'provider.permission-denied',
      message: expect.stringContaining(`${role.mount}/rotate-role/app: update`),
    });
  });

  test('a role that Vault does not know, and a mount that is not there, are told apart', async () => {
    const unknown = open({ ...role.credential, staticRole: 'other' });
    await expect(unknown.plan(aCall(), undefined)).rejects.toMatchObject({
      code: 'provider.unsupported',
      message: expect.stringContaining('no static role other'),
    });
    await unknown.close();
    const elsewhere = open(role.credential, { mount: 'nowhere' });
    await expect(elsewhere.plan(aCall(), undefined)).rejects.toMatchObject({
      code: 'provider.unsupported',
      message: expect.stringContaining('is the engine mounted there'),
    });
    await elsewhere.close();
  });

  test('a stored credential of another user is refused', async () => {
    const other = { ...(await current()), identity: 'somebody', fields: { username: 'somebody' } };
    await expect(session.plan(aCall(), other)).rejects.toMatchObject({ code: 'provider.refused-credential' });
    await expect(session.generate(aCall(), 'v1', other)).rejects.toMatchObject({
      code: 'provider.refused-credential',
    });
  });

  test.each(['an admin of the database', 'the user itself'])(
    'sessions that the old password opened are seen and ended by %s',
    async (by) => {
      const old = await current();
      const { postgres } = role.provider as { postgres: object };
      const chosen = by.startsWith('an')
        ? open()
        : open(role.credential, { postgres: { ...postgres, admin: undefined } });
      const consumer = new pg.Client({
        host: '127.0.0.1',
        port: app.port,
        database: app.name,
        user: old.identity,
        password: old.secrets.password?.reveal() ?? '',
      });
      const ended = new Promise((resolve) => consumer.on('error', () => undefined).once('end', resolve));
      await consumer.connect();
      const pending = await chosen.generate(aCall(), 'v1', old);
      expect(await chosen.usage(aCall(), old, new Date(Date.now() + 1))).toMatchObject({ sessions: 1 });
      await chosen.revoke(aCall(), old, pending, new Date(Date.now() + 1));
      await ended;
      await chosen.close();
    },
  );
});
