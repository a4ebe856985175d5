/** `rotor import external-secrets` and `annotations` out of a cluster, in which not every kind is installed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importAnnotations } from '../../orchestrator/import/kubernetes/annotations.ts';
import { importExternalSecrets } from '../../orchestrator/import/kubernetes/external-secrets.ts';
import { externalSecretDefinition } from '../doubles/external-secrets/controller.ts';
import { install } from '../doubles/installed.ts';
import { stopTestCluster, type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';

let cluster: TestCluster;
let namespace: TestNamespace;

beforeAll(async () => {
  cluster = await testCluster();
  await install(cluster, [externalSecretDefinition]);
  namespace = await cluster.namespace();
  const labels = { app: 'web' };
  await namespace.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', annotations: { 'reloader.stakater.com/auto': 'true' } },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [{ name: 'app', image: 'none', envFrom: [{ secretRef: { name: 'db' } }] }],
        },
      },
    },
  });
  await namespace.create({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'db' },
    spec: { dataFrom: [{ extract: { key: 'shop/db' } }] },
  });
});
afterAll(() => stopTestCluster());

test('kinds that are not installed are none, and nothing is left out for them', async () => {
  const options = { clusters: cluster.clusters, from: namespace.name };
  expect((await importExternalSecrets(options, [])).found).toMatchObject([
    {
      found: `ExternalSecret ${namespace.name}/db`,
      unmapped: expect.stringContaining('it names no store of its own'),
    },
  ]);
  expect((await importAnnotations(options)).found).toMatchObject([
    {
      found: `Secret ${namespace.name}/db`,
      manifests: [{ spec: { consumers: [{ name: 'web', delegated: { deployment: 'web' } }] } }],
    },
  ]);
});
