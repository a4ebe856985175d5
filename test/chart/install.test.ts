import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig, KubernetesObjectApi, type V1Deployment, type V1Secret } from '@kubernetes/client-node';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createKeyFile } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { openLedger } from '../../ledger/database.ts';
import { createToken } from '../../ledger/tokens.ts';
import { KEY, KeyFunction } from '../functions/key-function.ts';
import { freshDatabase } from '../setup/postgres.ts';
import { CHART, render, skippedWithoutHelm, the, withValues } from './helm.ts';
import { IMAGE, NAMESPACE, type Stage, setStage } from './stage.ts';

// On the sandbox alone: a real cluster would need the image, and tokens of accounts that a controller makes.
const skipped = skippedWithoutHelm('installing the chart');
const WORKER = `system:serviceaccount:${NAMESPACE}:rotor-worker`;
const WAIT = ['--wait', '--timeout', '90s'];

describe.skipIf(skipped)('helm install', () => {
  let stage: Stage;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let appUrl: SecretValue;
  const role = `app_${randomBytes(5).toString('hex')}`;

  beforeAll(async () => {
    database = await freshDatabase();
    await asOwner(`CREATE ROLE ${role} LOGIN PASSWORD 'app'`);
    appUrl = withUser(database.url, role, 'app');
    stage = await setStage();
    for (const name of [NAMESPACE, 'shop', 'other'])
      await stage.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const keyFile = join(stage.folder, 'key');
    await createKeyFile(keyFile);
    await stage.createSecret('rotor-owner', 'url', database.url);
    await stage.createSecret('rotor-app', 'url', appUrl.reveal());
    await stage.createSecret('rotor-key', 'key', await readFile(keyFile, 'utf8'));
    // The sandbox makes no tokens of ServiceAccounts: the same user comes by a kubeconfig.
    stage.api.addUser(WORKER);
    await stage.createSecret('rotor-clusters', 'kubeconfig', stage.api.kubeconfig(WORKER));
  });
  afterAll(async () => {
    await stage?.stop();
    await asOwner(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await database.drop();
  });

  const values = (changes: object = {}) => ({
    image: IMAGE,
    secrets: {
      database: { name: 'rotor-app', key: 'url' },
      migration: { name: 'rotor-owner', key: 'url' },
      // The node's processes have no group of their own.
      fileMode: 0o400,
    },
    kubeconfig: { secret: 'rotor-clusters' },
    namespaces: [{ name: 'shop' }],
    rbac: { strategies: { blueGreen: false } },
    migration: { grantTo: role },
    ...changes,
  });

  test('migrates, starts, rotates with the rights of the chart and no others, is upgraded, and leaves nothing', {
    timeout: 300_000,
  }, async () => {
    await withValues(values(), async (file) => {
      const installed = await stage.helm('install', 'rotor', CHART, '--values', file, ...WAIT);
      expect(installed.code, installed.stderr + (await stage.logs())).toBe(0);
      expect(installed.stdout).toContain('namespace shop: any Secret');
    });
    for (const component of ['orchestrator', 'worker'] as const)
      expect(await stage.addresses(component)).toHaveLength(2);

    await startShop();
    const version = await rotateOnce('rolling: { deployment: shop');
    const delivered = await stage.read<V1Secret>('v1', 'Secret', 'shop', 'cookie');
    expect(delivered.metadata?.annotations?.['rotor.dev/version']).toBe(version);
    const shop = await stage.read<V1Deployment>('apps/v1', 'Deployment', 'shop', 'shop');
    expect(shop.spec?.template.metadata?.annotations).toEqual({ 'secret.rotor.dev/cookie': version });
    await expectForbidden();
    await expectMetrics();

    // From now on by blue/green, and with rights to this one Secret, which is there.
    const narrower = {
      namespaces: [{ name: 'shop', secrets: ['cookie'] }],
      rbac: {},
      functions: { enabled: true },
    };
    await withValues(values(narrower), async (file) => {
      const upgraded = await stage.helm('upgrade', 'rotor', CHART, '--values', file, ...WAIT);
      expect(upgraded.code, upgraded.stderr + (await stage.logs())).toBe(0);
    });
    expect(await rotateOnce('blueGreen: { deployment: shop, service: shop')).not.toBe(version);
    await rotateByFunction();

    const removed = await stage.helm('uninstall', 'rotor', ...WAIT);
    expect(removed.code, removed.stderr).toBe(0);
    for (const [apiVersion, kind] of [
      ['apps/v1', 'Deployment'],
      ['v1', 'ServiceAccount'],
      ['v1', 'Service'],
      ['batch/v1', 'Job'],
      ['networking.k8s.io/v1', 'NetworkPolicy'],
      ['rbac.authorization.k8s.io/v1', 'Role'],
    ] as const) {
      const left = (await stage.objects.list(apiVersion, kind)).items.map(({ metadata }) => metadata?.name);
      expect(left.filter((name) => name?.startsWith('rotor'))).toEqual([]);
    }
  });

  /** What the workers' account asks for outside of its roles. */
  async function expectForbidden(): Promise<void> {
    const config = new KubeConfig();
    config.loadFromString(stage.api.kubeconfig(WORKER));
    const worker = KubernetesObjectApi.makeApiClient(config);
    const object = (apiVersion: string, kind: string, namespace: string, name = 'cookie') => ({
      apiVersion,
      kind,
      metadata: { name, namespace },
    });
    const secret = (namespace: string) => object('v1', 'Secret', namespace);
    expect((await worker.read<V1Secret>(secret('shop'))).data).toBeDefined();
    const attempts: Readonly<Record<string, () => Promise<unknown>>> = {
      'get secrets elsewhere': () => worker.read(secret('other')),
      'get its own database URL': () => worker.read(object('v1', 'Secret', NAMESPACE, 'rotor-app')),
      'create secrets elsewhere': () => worker.create(secret('other')),
      'list secrets': () => worker.list('v1', 'Secret', 'shop'),
      'delete secrets': () => worker.delete(secret('shop')),
      'create deployments': () => worker.create(object('apps/v1', 'Deployment', 'shop')),
      'create roles': () => worker.create(object('rbac.authorization.k8s.io/v1', 'Role', 'shop')),
    };
    for (const [what, attempt] of Object.entries(attempts))
      await expect(attempt(), what).rejects.toMatchObject({ code: 403 });
  }

  /** What alerts ask for is what the processes really serve, under these very names. */
  async function expectMetrics(): Promise<void> {
    const rule = the(await render({ everything: true }), 'PrometheusRule');
    const asked = [...JSON.stringify(rule.spec).matchAll(/\brotor_[a-z_]+/g)].map(([name]) => name);
    const addresses = [...(await stage.addresses('orchestrator')), ...(await stage.addresses('worker'))];
    const pages = await Promise.all(
      addresses.map(async (address) => (await fetch(`${address}/metrics`)).text()),
    );
    const served = pages.join('\n');
    // Measured once a minute, and when something has leaked, drifted or failed: this test doesn't wait for them.
    const later = [
      'rotor_credential_age_seconds',
      'rotor_incident_time_to_revoke_seconds_bucket',
      'rotor_delivery_drift_total',
      'rotor_queue_failures_total',
    ];
    for (const name of new Set(asked))
      if (!later.includes(name)) expect(served).toMatch(new RegExp(`^${name}\\{`, 'm'));
    expect(served).toMatch(/^rotor_rotations_total\{.*state="done".*\} 1$/m);
  }

  /** A consumer that does nothing but run. */
  async function startShop(): Promise<void> {
    const container = { name: 'shop', image: 'sandbox/node', command: ['-e', 'setInterval(() => {}, 1000)'] };
    const labels = { app: 'shop' };
    const metadata = { name: 'shop', namespace: 'shop' };
    const service = { selector: labels, ports: [{ port: 80 }] };
    await stage.create({ apiVersion: 'v1', kind: 'Service', metadata, spec: service });
    const pod = { terminationGracePeriodSeconds: 1, containers: [container] };
    const template = { metadata: { labels }, spec: pod };
    const spec = { replicas: 1, selector: { matchLabels: labels }, template };
    await stage.create({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec });
  }

  /** A function elsewhere, with two workers that may be the ones that invoke it. */
  async function rotateByFunction(): Promise<void> {
    const keys = new KeyFunction();
    await keys.start();
    try {
      const [first, key] = [join(stage.folder, 'first'), join(stage.folder, 'signing-key')];
      await writeFile(first, '{"keyId":"id-first","key":"key-first"}');
      await writeFile(key, JSON.stringify(KEY), { mode: 0o600 });
      await rotate('key', functionManifests(join(stage.folder, 'store'), keys.url, first, key));
      expect(keys.valid.has('id-first')).toBe(false);
      const workers = await stage.addresses('worker', 'functions');
      expect(workers).toHaveLength(2);
      for (const address of keys.told) expect(workers).toContain(address);
    } finally {
      await keys.close();
    }
  }

  const rotateOnce = (rollout: string) => rotate('cookie', manifests(join(stage.folder, 'store'), rollout));

  /** Through the API of the running orchestrators. @returns the version that was made */
  async function rotate(policy: string, yaml: string): Promise<string> {
    const ledger = openLedger({ url: appUrl, log: silentLog });
    const token = await createToken(ledger, 'test', 'admin').finally(() => ledger.close());
    const applied = await call('POST', '/v1/apply', token, yaml);
    expect(applied.status, applied.text).toBe(200);
    const started = await call('POST', `/v1/policies/shop/${policy}/rotate`, token);
    expect(started.status, started.text).toBe(200);
    const { rotation: id } = JSON.parse(started.text);
    const look = async () => JSON.parse((await call('GET', `/v1/rotations/${id}`, token)).text);
    await expect
      .poll(async () => (await look()).state, { timeout: 60_000, interval: 200 })
      .toMatch(/done|rolled-back|needs-human/);
    const ended = await look();
    expect(ended.state, JSON.stringify(ended)).toBe('done');
    expect(ended.newVersion).toMatch(/^[0-9a-f-]{36}$/);
    return ended.newVersion;
  }

  async function call(method: string, path: string, token: SecretValue, body?: string) {
    const [address] = await stage.addresses('orchestrator');
    const headers = { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/yaml' };
    const answer = await fetch(`${address}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.status, text: await answer.text() };
  }

  async function asOwner(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  }
});

function withUser(url: string, username: string, password: string): SecretValue {
  const changed = new URL(url);
  changed.username = username;
  changed.password = password;
  return SecretValue.of(changed.href);
}

const manifests = (store: string, rollout: string) => `apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: files, namespace: shop }
spec: { local: { path: ${store} } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: cookie, namespace: shop }
spec:
  credential: { random: { value: { length: 40 } } }
  store: { name: files, path: shop/cookie }
  deliver: [{ secret: { name: cookie, namespaces: [shop] } }]
  consumers: [{ name: shop, ${rollout}, namespace: shop, secretName: cookie } }]
  settle: { grace: 0s }
`;

const functionManifests = (
  store: string,
  url: string,
  first: string,
  key: string,
) => `apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: files, namespace: shop }
spec: { local: { path: ${store} } }
---
apiVersion: rotor.dev/v1alpha1
kind: Provider
metadata: { name: keys, namespace: shop }
spec: { function: { http: { url: "${url}" }, signingKeyFile: ${key} } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: key, namespace: shop }
spec:
  provider: keys
  credential: { function: { mode: new-key, identity: keyId, secrets: [key], revokeStep: revokeSecret } }
  initialFrom: { file: ${first} }
  store: { name: files, path: shop/key }
  settle: { evidence: time-only, grace: 0s }
`;
