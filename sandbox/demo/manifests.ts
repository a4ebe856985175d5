import { stringify } from 'yaml';
import type { Shop } from './shop.ts';

export const POLICY = 'shop-db';

/** What somebody would write for this shop: where the database is, who uses the credential, when to rotate. */
export function manifestsFor(shop: Shop, clients: readonly { name: string; url: string }[]): string {
  const apiVersion = 'rotor.dev/v1alpha1';
  return [
    {
      apiVersion,
      kind: 'Provider',
      metadata: { name: 'shop' },
      spec: {
        postgres: {
          hosts: [{ host: shop.host, port: shop.port }],
          database: shop.database,
          admin: { username: 'shop_rotor', passwordFrom: { file: shop.adminFile } },
        },
      },
    },
    {
      apiVersion,
      kind: 'RotationPolicy',
      metadata: { name: POLICY },
      spec: {
        provider: 'shop',
        credential: {
          postgres: { mode: 'alternating-users', roles: ['shop_blue', 'shop_green'], owner: 'shop_owner' },
        },
        initialFrom: { file: shop.initialFile },
        store: { path: 'shop/db' },
        deliver: [{ file: { path: shop.deliveredFile, format: 'json' } }],
        consumers: clients.map(({ name, url }) => ({
          name,
          reload: {
            via: { http: { url: `${url}/reload`, method: 'POST' } },
            health: { http: { url: `${url}/health`, versionPointer: '/version' } },
            healthTimeout: '2s',
            healthInterval: '100ms',
            stableFor: 3,
          },
        })),
        schedule: { cron: '*/5 * * * * *' },
        settle: { grace: '500ms', timeout: '20s' },
      },
    },
  ]
    .map((manifest) => stringify(manifest))
    .join('---\n');
}
