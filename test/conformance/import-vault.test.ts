/**
 * `rotor import vault` against a real Vault whose database engine has a real PostgreSQL.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownKinds } from '../../orchestrator/cli/manifest-files.ts';
import { written } from '../../orchestrator/import/draft.ts';
import { importVault } from '../../orchestrator/import/vault/import.ts';
import { parseManifests } from '../../orchestrator/manifests/parse.ts';
import { manifestSchemas } from '../../orchestrator/manifests/schemas.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { noVault, stopTestVault } from '../setup/vault.ts';
import { aStaticRole, type StaticRole } from '../setup/vault-database.ts';

const registries = knownKinds();
let app: Application;
let role: StaticRole;

beforeAll(async () => {
  if (noVault) return;
  app = await anApplication();
  role = await aStaticRole(app);
  await role.vault.call('POST', `${role.mount}/static-roles/nightly`, {
    db_name: 'shop',
    username: app.roles[0],
    rotation_schedule: '0 3 * * 6',
    rotation_window: '2h',
  });
});
afterAll(async () => {
  stopTestVault();
  await app?.drop();
});

async function imported(kubernetesRole?: string) {
  const { address } = role.vault;
  const place = { address, namespace: undefined, mount: role.mount, kvMount: 'secret', kubernetesRole };
  const { found, shared } = await importVault({ ...place, tokenFile: join(app.folder, 'vault-token') });
  return written(found, shared, 'shop', manifestSchemas(registries));
}

describe.skipIf(noVault)(`rotor import vault${noVault ? ` (${noVault})` : ''}`, { timeout: 60_000 }, () => {
  test('makes policies of static roles that pass validation, and holds no password', async () => {
    const { files, report } = await imported('rotor');
    expect(report).toMatchObject([
      { found: 'static role app', result: 'imported', manifest: 'RotationPolicy shop/app' },
      { found: 'static role nightly', result: 'imported' },
    ]);
    const text = files.map((file) => file.text).join('---\n');
    const manifests = parseManifests(text, 'imported.yaml', registries);
    expect(manifests.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'Store vault',
      'Provider shop',
      'RotationPolicy app',
      'RotationPolicy nightly',
    ]);
    expect(manifests[1]?.spec).toMatchObject({
      kind: 'vaultDatabase',
      spec: { mount: role.mount, postgres: { hosts: [{ port: app.port }], tls: { mode: 'disable' } } },
    });
    expect(manifests[2]?.spec).toMatchObject({
      provider: 'shop',
      credential: { kind: 'vaultDatabase', spec: { staticRole: 'app' } },
      schedule: { every: 30 * 86_400_000 },
      suspend: true,
    });
    expect(manifests[3]?.spec).toMatchObject({ schedule: { cron: '0 3 * * 6', timeZone: 'UTC' } });
    const { password } = await role.held();
    for (const secret of [password, new URL(app.superuserUrl).password, role.vault.token])
      expect(text).not.toContain(secret);
  });

  test('says how the workers log in is open, unless it is told', async () => {
    const { files, report } = await imported();
    expect(report.filter(({ result }) => result === 'partly')).toMatchObject([
      { manifest: 'Store shop/vault', why: [expect.stringContaining('--kubernetes-role')] },
      { manifest: 'Provider shop/shop' },
    ]);
    expect(files[0]?.text).toContain('# OPEN: spec.vault.auth');
  });

  test('names what the token lacks', async () => {
    await role.restrict(`path "${role.mount}/static-roles/*" { capabilities = ["read"] }`);
    await expect(imported()).rejects.toThrow(`needs "list" on "${role.mount}/static-roles"`);
    await writeFile(join(app.folder, 'vault-token'), role.vault.token);
  });
});
