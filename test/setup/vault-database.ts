import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Application } from './postgres-roles.ts';
import { type TestVault, testVault, type VaultName } from './vault.ts';

/** A static role in a database engine of its own, for the login role that an application uses. */
export interface StaticRole {
  readonly vault: TestVault;
  readonly mount: string;
  readonly provider: object;
  readonly credential: { readonly staticRole: string; readonly acknowledgeNoOverlap: true };
  /** What Vault holds for it. */
  held(): Promise<{ username: string; password: string }>;
  rotate(): Promise<void>;
  /** Lets Rotor act by a token with this policy from now on. */
  restrict(policy: string): Promise<void>;
}

/** Vault sets a password of its own as it takes the role on (to leave it alone is a feature of its Enterprise). */
export async function aStaticRole(
  app: Application,
  admin = true,
  server: VaultName = 'Vault',
): Promise<StaticRole> {
  const vault = await testVault(server);
  const mount = `db-${randomBytes(5).toString('hex')}`;
  await vault.call('POST', `sys/mounts/${mount}`, { type: 'database' });
  const { username, password, host, pathname } = new URL(app.superuserUrl);
  await vault.call('POST', `${mount}/config/shop`, {
    plugin_name: 'postgresql-database-plugin',
    connection_url: `postgresql://{{username}}:{{password}}@${host}${pathname}?sslmode=disable`,
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    allowed_roles: '*',
  });
  await vault.call('POST', `${mount}/static-roles/app`, {
    db_name: 'shop',
    username: app.roles[0],
    rotation_period: '720h',
  });
  const file = join(app.folder, 'vault-token');
  await writeFile(file, vault.token, { mode: 0o600 });
  return {
    vault,
    mount,
    provider: {
      address: vault.address,
      mount,
      auth: { token: { file } },
      postgres: app.provider(admin ? {} : { admin: undefined }),
    },
    credential: { staticRole: 'app', acknowledgeNoOverlap: true },
    held: async () => (await vault.call('GET', `${mount}/static-creds/app`)).data,
    rotate: () => vault.call('POST', `${mount}/rotate-role/app`),
    restrict: async (policy) => {
      await vault.call('PUT', `sys/policies/acl/${mount}`, { policy });
      const { auth } = await vault.call('POST', 'auth/token/create', { policies: [mount] });
      await writeFile(file, auth.client_token);
    },
  };
}
