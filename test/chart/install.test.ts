import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  KubeConfig,
  KubernetesObjectApi,
  type V1Deployment,
  type V1Pod,
  type V1Secret,
} from '@kubernetes/client-node';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { silentLog } from '../../core/log.ts';
import { createKeyFile } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { openLedger } from '../../ledger/database.ts';
import { createToken } from '../../ledger/tokens.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { IMAGES } from '../../sandbox/cluster.ts';
import { startControllers } from '../../sandbox/controllers/start.ts';
import { PORTS_ANNOTATION } from '../../sandbox/kubelet/ports.ts';
import { startKubelet } from '../../sandbox/kubelet/start.ts';
import { freshDatabase } from '../setup/postgres.ts';
import { CHART, helm, skippedWithoutHelm, withValues } from './helm.ts';

// On the sandbox alone: a real cluster would need the image, and accounts whose names this test invents.
const skipped = skippedWithoutHelm('installing the chart');
const IMAGE = 'registry.invalid/rotor:under-test';
const RELEASE = 'rotor';
const WORKER = 'system:serviceaccount:rotor:rotor-worker';

describe.skipIf(skipped)('helm install', () => {
  let folder: string;
  let api: SandboxApi;
  let objects: KubernetesObjectApi;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let appUrl: SecretValue;
  const role = `app_${randomBytes(5).toString('hex')}`;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-install-'));
    database = await freshDatabase();
    await asOwner(`CREATE ROLE ${role} LOGIN PASSWORD 'app'`);
    appUrl = withUser(database.url, role, 'app');
    await startCluster();
    for (const name of ['rotor', 'shop', 'other'])
      await create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await createKeyFile(join(folder, 'key'));
    await createSecret('rotor-owner', 'url', database.url);
    await createSecret('rotor-app', 'url', appUrl.reveal());
    await createSecret('rotor-key', 'key', await readFile(join(folder, 'key'), 'utf8'));
    // The sandbox makes no tokens of ServiceAccounts: the same user comes by a kubeconfig.
    api.addUser(WORKER);
    await createSecret('rotor-clusters', 'kubeconfig', api.kubeconfig(WORKER));
    await writeFile(join(folder, 'kubeconfig'), api.kubeconfig(), { mode: 0o600 });
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
    await asOwner(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  const values = (changes: object = {}) => ({
    image: { repository: 'registry.invalid/rotor', tag: 'under-test' },
    secrets: {
      database: { name: 'rotor-app', key: 'url' },
      migration: { name: 'rotor-owner', key: 'url' },
      // The node's processes have no group of their own.
      fileMode: 256,
    },
    kubeconfig: { secret: 'rotor-clusters' },
    namespaces: [{ name: 'shop' }],
    rbac: { strategies: { blueGreen: false } },
    migration: { grantTo: role },
    ...changes,
  });

  test('migrates, starts, rotates with the rights of the chart and no others, is upgraded, and leaves nothing', {
    timeout: 240_000,
  }, async () => {
    await withValues(values(), async (file) => {
      const installed = await inCluster(
        'install',
        RELEASE,
        CHART,
        '--values',
        file,
        '--wait',
        '--timeout',
        '90s',
      );
      expect(installed.code, installed.stderr + (await logs())).toBe(0);
      expect(installed.stdout).toContain('namespace shop: any Secret');
    });
    for (const name of ['rotor-orchestrator', 'rotor-worker']) expect(await readyReplicas(name)).toBe(2);

    await startShop();
    const version = await rotateOnce('rolling: { deployment: shop');
    const delivered = await read<V1Secret>('v1', 'Secret', 'shop', 'cookie');
    expect(delivered.metadata?.annotations?.['rotor.dev/version']).toBe(version);
    const shop = await read<V1Deployment>('apps/v1', 'Deployment', 'shop', 'shop');
    expect(shop.spec?.template.metadata?.annotations).toEqual({ 'secret.rotor.dev/cookie': version });

    await expectForbidden();

    // From now on by blue/green, and with rights to this one Secret, which is there.
    const narrower = { namespaces: [{ name: 'shop', secrets: ['cookie'] }], rbac: {} };
    await withValues(values(narrower), async (file) => {
      const upgraded = await inCluster(
        'upgrade',
        RELEASE,
        CHART,
        '--values',
        file,
        '--wait',
        '--timeout',
        '90s',
      );
      expect(upgraded.code, upgraded.stderr + (await logs())).toBe(0);
    });
    expect(await rotateOnce('blueGreen: { deployment: shop, service: shop')).not.toBe(version);

    const removed = await inCluster('uninstall', RELEASE, '--wait', '--timeout', '90s');
    expect(removed.code, removed.stderr).toBe(0);
    for (const [apiVersion, kind] of [
      ['apps/v1', 'Deployment'],
      ['v1', 'ServiceAccount'],
      ['v1', 'Service'],
      ['networking.k8s.io/v1', 'NetworkPolicy'],
      ['rbac.authorization.k8s.io/v1', 'Role'],
    ] as const) {
      const left = (await objects.list(apiVersion, kind)).items.map(({ metadata }) => metadata?.name ?? '');
      expect(left.filter((name) => name.startsWith('rotor'))).toEqual([]);
    }
  });

  /** What the workers' account asks for outside of its roles. */
  async function expectForbidden(): Promise<void> {
    const as = new KubeConfig();
    as.loadFromString(api.kubeconfig(WORKER));
    const worker = KubernetesObjectApi.makeApiClient(as);
    const secret = (namespace: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'cookie', namespace },
    });
    expect((await worker.read<V1Secret>(secret('shop'))).data).toBeDefined();
    const attempts: Record<string, () => Promise<unknown>> = {
      'get secrets elsewhere': () => worker.read(secret('other')),
      'get its own database URL': () =>
        worker.read({ ...secret('rotor'), metadata: { name: 'rotor-app', namespace: 'rotor' } }),
      'create secrets elsewhere': () => worker.create(secret('other')),
      'list secrets': () => worker.list('v1', 'Secret', 'shop'),
      'delete secrets': () => worker.delete(secret('shop')),
      'create deployments': () =>
        worker.create({
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'x', namespace: 'shop' },
        }),
      'create roles': () =>
        worker.create({
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'Role',
          metadata: { name: 'x', namespace: 'shop' },
        }),
    };
    for (const [what, attempt] of Object.entries(attempts))
      await expect(attempt(), what).rejects.toMatchObject({ code: 403 });
  }

  async function startCluster(): Promise<void> {
    api = await startApiServer();
    const config = new KubeConfig();
    config.loadFromString(api.kubeconfig());
    objects = KubernetesObjectApi.makeApiClient(config);
    const controllers = await startControllers(config, { log: silentLog });
    const entrypoint = fileURLToPath(new URL('container.ts', import.meta.url));
    const node = await startKubelet(config, {
      nodeName: 'sandbox',
      folder: join(folder, 'node'),
      log: silentLog,
      images: { ...IMAGES, [IMAGE]: [process.execPath, entrypoint] },
    });
    stops.push(
      () => api.stop(),
      () => controllers.stop(),
      () => node.stop(),
    );
  }

  function inCluster(...args: string[]) {
    return helm([...args, '--namespace', 'rotor'], { KUBECONFIG: join(folder, 'kubeconfig') });
  }

  async function create(object: {
    apiVersion: string;
    kind: string;
    metadata: object;
    [field: string]: unknown;
  }) {
    await objects.create(object);
  }

  function createSecret(name: string, key: string, value: string) {
    const metadata = { name, namespace: 'rotor' };
    const data = { [key]: Buffer.from(value).toString('base64') };
    return create({ apiVersion: 'v1', kind: 'Secret', metadata, data });
  }

  function read<T extends { metadata?: object }>(
    apiVersion: string,
    kind: string,
    namespace: string,
    name: string,
  ) {
    return objects.read({ apiVersion, kind, metadata: { namespace, name } }) as unknown as Promise<T>;
  }

  async function readyReplicas(name: string): Promise<number> {
    return (await read<V1Deployment>('apps/v1', 'Deployment', 'rotor', name)).status?.readyReplicas ?? 0;
  }

  /** A consumer that does nothing but run. */
  async function startShop(): Promise<void> {
    const container = { name: 'shop', image: 'sandbox/node', command: ['-e', 'setInterval(() => {}, 1000)'] };
    const labels = { app: 'shop' };
    await create({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'shop', namespace: 'shop' },
      spec: { selector: labels, ports: [{ port: 80 }] },
    });
    await create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shop', namespace: 'shop' },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { terminationGracePeriodSeconds: 1, containers: [container] },
        },
      },
    });
  }

  /** Through the API of the running orchestrators. @returns the version that was made */
  async function rotateOnce(rollout: string): Promise<string> {
    const ledger = openLedger({ url: appUrl, log: silentLog });
    const token = await createToken(ledger, 'test', 'admin').finally(() => ledger.close());
    const apply = await call('POST', '/v1/apply', token, manifests(join(folder, 'store'), rollout));
    expect(apply.status, apply.text).toBe(200);
    const started = await call('POST', '/v1/policies/shop/cookie/rotate', token);
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
    const pods = await objects.list<V1Pod>('v1', 'Pod', 'rotor');
    const pod = pods.items.find(
      ({ metadata, status }) =>
        metadata?.labels?.['app.kubernetes.io/component'] === 'orchestrator' &&
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    );
    const port = JSON.parse(pod?.metadata?.annotations?.[PORTS_ANNOTATION] ?? '{}').http;
    const headers = { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/yaml' };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
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

  /** What the pods' processes have written, for failures. */
  async function logs(): Promise<string> {
    const pods = await objects.list<V1Pod>('v1', 'Pod', 'rotor');
    const told = pods.items.map(async ({ metadata, status }) => {
      const part = metadata?.labels?.['app.kubernetes.io/component'] ?? '';
      const log = join(folder, 'node', 'pods', metadata?.uid ?? '', 'logs', `${part}.log`);
      return `${metadata?.name}: ${stringify(status?.containerStatuses)}${await readFile(log, 'utf8').catch(() => '')}`;
    });
    return `\n${(await Promise.all(told)).join('\n')}`;
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
