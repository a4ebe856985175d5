/** Leases of Vault as steps of runbooks: at a real Vault or OpenBao, which makes users of a real PostgreSQL. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Application, anApplication } from '../../test/setup/postgres-roles.ts';
import { freePort } from '../../test/setup/postgres-servers.ts';
import { type RunbookStage, runbookStage } from '../../test/setup/runbooks.ts';
import { stopTestVault, type TestVault, testVault, VAULTS, type VaultName } from '../../test/setup/vault.ts';
import { describeIncident } from './describe.ts';
import { previewOf } from './dry-run.ts';
import { runbookSpec } from './runbook-schema.ts';
import { workRunbooks } from './work-runbooks.ts';

let stage: RunbookStage;
let app: Application;
let vault: TestVault;
let mount: string;
let token: string;

/** A user that Vault makes for whoever asks. */
const given = async (role: string) =>
  (await vault.call('GET', `${mount}/creds/${role}`)).data as { username: string; password: string };

async function logsIn({ username: user, password }: { username: string; password: string }) {
  const client = new pg.Client({ host: '127.0.0.1', port: app.port, database: app.name, user, password });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

const revoking = (more: object = {}) => ({
  custom: {
    vault: {
      address: vault.address,
      auth: { token: { file: token } },
      revokePrefix: `${mount}/creds/app`,
      ...more,
    },
  },
});

async function worked(step: object) {
  await stage.policy('orders', [step, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await stage.tryAgain();
  await workRunbooks(stage.orchestrator);
  return (await describeIncident(stage.orchestrator, incident)).targets[0]?.steps[0];
}

const promises = (name: VaultName) => () => {
  beforeEach(async () => {
    [stage, app, vault] = await Promise.all([runbookStage(), anApplication(), testVault(name)]);
    mount = `db-${randomBytes(5).toString('hex')}`;
    token = join(app.folder, 'token');
    await writeFile(token, vault.token, { mode: 0o600 });
    const { username, password, host, pathname } = new URL(app.superuserUrl);
    await vault.call('POST', `sys/mounts/${mount}`, { type: 'database' });
    await vault.call('POST', `${mount}/config/shop`, {
      plugin_name: 'postgresql-database-plugin',
      connection_url: `postgresql://{{username}}:{{password}}@${host}${pathname}?sslmode=disable`,
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
      allowed_roles: '*',
    });
    for (const role of ['app', 'app2'])
      await vault.call('POST', `${mount}/roles/${role}`, {
        db_name: 'shop',
        creation_statements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`],
        revocation_statements: ['DROP ROLE "{{name}}"'],
        default_ttl: '1h',
      });
  });
  afterEach(async () => {
    await vault.call('POST', `sys/leases/revoke-prefix/${mount}`, { sync: true });
    await stage.stop();
    await app.drop();
  });
  afterAll(stopTestVault);

  test('users that Vault gave out of a role are refused when the step is done; those of other roles are not', async () => {
    const [one, two, other] = [await given('app'), await given('app'), await given('app2')];
    expect(await logsIn(one)).toBe(true);
    const step = await worked(revoking());
    expect(step, JSON.stringify(step)).toMatchObject({
      kind: 'custom',
      state: 'done',
      tries: 1,
      result: { prefix: `${mount}/creds/app`, revoked: 2, since: 0 },
    });
    expect([await logsIn(one), await logsIn(two), await logsIn(other)]).toEqual([false, false, true]);
  });

  test('nothing given out is nothing to revoke', async () => {
    expect(await worked(revoking())).toMatchObject({ state: 'done', result: { revoked: 0 } });
  });

  test('a token that lacks a right has failed, named with its path, and holds nothing up', async () => {
    const one = await given('app');
    const policy = `path "sys/leases/revoke-prefix/${mount}/creds/app" { capabilities = ["update"] }`;
    await vault.call('PUT', `sys/policies/acl/${mount}`, { policy });
    const { auth } = await vault.call('POST', 'auth/token/create', { policies: [mount] });
    await writeFile(token, auth.client_token);
    const step = await worked(revoking());
    expect(step).toMatchObject({
      state: 'failed',
      error: expect.stringContaining(`sys/leases/revoke-prefix/${mount}/creds/app: sudo`),
    });
    expect(await logsIn(one)).toBe(true);
  });

  test('the documented policy is enough', async () => {
    const one = await given('app');
    const policy = `
      path "sys/leases/revoke-prefix/${mount}/creds/app" { capabilities = ["update", "sudo"] }
      path "sys/leases/lookup/${mount}/creds/app/"       { capabilities = ["list", "sudo"] }`;
    await vault.call('PUT', `sys/policies/acl/${mount}`, { policy });
    const { auth } = await vault.call('POST', 'auth/token/create', { policies: [mount] });
    await writeFile(token, auth.client_token);
    expect(await worked(revoking())).toMatchObject({ state: 'done', result: { revoked: 1 } });
    expect(await logsIn(one)).toBe(false);
  });

  test('what the database does not take is no success: it is tried again', async () => {
    await given('app');
    await vault.call('POST', `${mount}/roles/app`, {
      db_name: 'shop',
      creation_statements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`],
      revocation_statements: ['SELECT 1/0'],
    });
    expect(await worked(revoking())).toMatchObject({
      state: 'waiting',
      error: expect.stringContaining('could not revoke all'),
    });
    await vault.call('POST', `${mount}/roles/app`, {
      db_name: 'shop',
      creation_statements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`],
      revocation_statements: ['DROP ROLE "{{name}}"'],
    });
  });

  test('a Vault that is away is asked again', async () => {
    const step = await worked(revoking({ address: `http://127.0.0.1:${await freePort()}` }));
    expect(step).toMatchObject({ state: 'waiting', error: expect.stringContaining('ECONNREFUSED') });
  });

  test("a connection's own user gets a password that only Vault knows, and Vault logs in by it", async () => {
    const root = { username: `root_${mount.slice(3)}`, password: 'known-to-somebody' };
    await app.sql(`CREATE ROLE ${root.username} LOGIN SUPERUSER PASSWORD '${root.password}'`);
    try {
      const connection = await vault.call('GET', `${mount}/config/shop`);
      const { connection_url } = connection.data.connection_details;
      const config = { plugin_name: 'postgresql-database-plugin', connection_url, allowed_roles: '*' };
      await vault.call('POST', `${mount}/config/root`, { ...config, ...root });
      expect(await logsIn(root)).toBe(true);
      const step = await worked(revoking({ revokePrefix: undefined, rotateRoot: `${mount}/root` }));
      expect(step).toMatchObject({ state: 'done', result: { connection: `${mount}/root`, loggedIn: true } });
      expect(await logsIn(root)).toBe(false);
      await app.sql(`ALTER ROLE ${root.username} PASSWORD 'by-hand'`);
      // What the step takes for a proof is one: with another password it would have failed.
      await expect(vault.call('POST', `${mount}/reset/root`)).rejects.toThrow(
        'password authentication failed',
      );
    } finally {
      await vault.call('DELETE', `${mount}/config/root`);
      await app.sql(`DROP ROLE ${root.username}`);
    }
  });

  test('a dry run says what is revoked, and a prefix that is a whole mount is refused', () => {
    const risk = {
      severity: 'high',
      validity: 'unknown',
      exposure: 'unknown',
      environment: undefined,
    } as const;
    const { steps } = runbookSpec.parse({ steps: [revoking(), { rotate: {} }] });
    expect(previewOf(steps, risk, 'rotate')[0]?.what).toContain(`all leases under ${mount}/creds/app`);
    const { error } = runbookSpec.safeParse({ steps: [revoking({ revokePrefix: 'auth' }), { rotate: {} }] });
    expect(JSON.stringify(error?.issues)).toContain('needs a form like');
    const both = runbookSpec.safeParse({
      steps: [revoking({ rotateRoot: 'database/shop' }), { rotate: {} }],
    });
    expect(JSON.stringify(both.error?.issues)).toContain('exactly one of: revokePrefix, rotateRoot');
  });
};

for (const { name, missing } of VAULTS)
  describe.skipIf(missing)(`leases of ${name}${missing ? ` (${missing})` : ''}`, promises(name));
