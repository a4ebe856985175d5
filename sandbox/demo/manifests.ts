import { stringify } from 'yaml';
import type { Shop } from './shop.ts';
import { type App, JOBS, MAIL, NAMESPACE, WEB } from './workloads.ts';

const CONSUMERS_FIRST = 'consumers-first';
/** So long the consumers may take; after that the leaked credential is refused whoever still uses it. */
export const OVERLAP = '1m';

/** What somebody would write for this shop: where the database is, who uses which credential, when to rotate. */
export function manifestsFor(shop: Shop): string {
  const provider = {
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'Provider',
    metadata: { name: 'shop' },
    spec: {
      postgres: {
        hosts: [{ host: shop.host, port: shop.port }],
        database: shop.database,
        admin: { username: 'shop_rotor', passwordFrom: { file: shop.adminFile } },
      },
    },
  };
  // What GitHub finds is public, and so is contained at once unless a runbook says otherwise. This one does.
  const runbook = {
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'Runbook',
    metadata: { name: CONSUMERS_FIRST },
    spec: { steps: [{ contain: { after: OVERLAP } }, { rotate: {} }] },
  };
  return [
    provider,
    runbook,
    policyFor(shop, WEB, { blueGreen: { deployment: 'web', service: 'web' } }),
    policyFor(
      shop,
      JOBS,
      { rolling: { deployment: 'jobs' } },
      {
        schedule: { cron: '*/5 * * * * *' },
        onCompromise: { runbook: CONSUMERS_FIRST },
      },
    ),
    policyFor(shop, MAIL, { rolling: { deployment: 'mail' } }),
  ]
    .map((manifest) => stringify(manifest))
    .join('---\n');
}

function policyFor(shop: Shop, { name, secret }: App, rollout: Record<string, object>, more = {}): object {
  const { roles, initialFile } = shop[name];
  const within = { namespace: NAMESPACE, secretName: secret };
  const moved = Object.entries(rollout).map(([kind, spec]) => [kind, { ...spec, ...within }]);
  return {
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'RotationPolicy',
    metadata: { name: secret },
    spec: {
      provider: 'shop',
      credential: { postgres: { mode: 'alternating-users', roles, owner: 'shop_owner' } },
      initialFrom: { file: initialFile },
      store: { path: `shop/${secret}` },
      // The Secret was there before Rotor: taken over, because its owner says so.
      deliver: [{ secret: { name: secret, namespaces: [NAMESPACE], adopt: true } }],
      consumers: [{ name, ...Object.fromEntries(moved) }],
      settle: { grace: '1s', timeout: '30s' },
      ...more,
    },
  };
}
