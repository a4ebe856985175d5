import type { V1Deployment, V1ReplicaSet } from '@kubernetes/client-node';
import { PatchStrategy } from '@kubernetes/client-node';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import { secretReferences } from '../../workers/kubernetes/secret-references.ts';
import { backToVersion, toVersion } from '../../workers/kubernetes/template-version.ts';
import { versionAnnotation, workloadRef } from '../../workers/kubernetes/workloads.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, type TestCluster, testCluster } from '../setup/cluster.ts';

let testing: TestCluster;
let cluster: Cluster;
let namespace: string;
afterAll(stopTestCluster);
beforeEach(async () => {
  testing = await testCluster();
  cluster = await testing.clusters.open(undefined);
  const made = await testing.namespace();
  namespace = made.name;
  onTestFinished(() => made.remove());
  await made.create(deployment());
});

const annotation = versionAnnotation('db');
const ref = () => workloadRef('Deployment', namespace, 'web');

function deployment() {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          imagePullSecrets: [{ name: 'db' }, { name: 'registry' }],
          initContainers: [
            { name: 'init', image: 'none', envFrom: [{ prefix: 'DB_', secretRef: { name: 'db' } }] },
          ],
          containers: [
            {
              name: 'web',
              image: 'none',
              env: [
                { name: 'A', value: 'a' },
                {
                  name: 'PASSWORD',
                  valueFrom: { secretKeyRef: { name: 'db', key: 'password', optional: true } },
                },
                { name: 'Z', value: '$(PASSWORD)' },
              ],
              envFrom: [{ configMapRef: { name: 'db' } }, { secretRef: { name: 'other' } }],
            },
          ],
          volumes: [
            { name: 'one', secret: { secretName: 'db', items: [{ key: 'password', path: 'p' }] } },
            {
              name: 'many',
              projected: { sources: [{ secret: { name: 'other' } }, { secret: { name: 'db' } }] },
            },
          ],
        },
      },
    },
  };
}

async function found() {
  const object = await cluster.read(aCall(), ref());
  if (!object) throw new Error('the deployment is gone');
  return object;
}
const plain = async () =>
  JSON.parse(
    JSON.stringify(
      (await testing.api.read<V1Deployment>({ ...ref(), metadata: { name: 'web', namespace } })).spec
        ?.template,
    ),
  );
const namesOf = (template: { spec: object }) =>
  secretReferences(template.spec as never).map(({ name }) => name);

async function forward(versionId: string, name: string): Promise<void> {
  const secret = { logical: 'db', name };
  await toVersion(aCall(), cluster, ref(), await found(), annotation, versionId, secret);
}

test('every reference to the Secret is changed with the version, and nothing else of the template', async () => {
  const before = await plain();
  await forward('v1', 'db-0123456789ab');
  const after = await plain();
  expect(namesOf(after)).toEqual(namesOf(before).map((name) => (name === 'db' ? 'db-0123456789ab' : name)));
  expect(JSON.parse(JSON.stringify(after).replaceAll('"db-0123456789ab"', '"db"'))).toEqual({
    ...before,
    metadata: { ...before.metadata, annotations: { [annotation]: 'v1' } },
  });
});

test('going back gives the very template of before, and no third ReplicaSet', async () => {
  const before = await plain();
  const controlled = async () => {
    const { items } = await testing.api.list<V1ReplicaSet>('apps/v1', 'ReplicaSet', namespace);
    return items.length;
  };
  await expect.poll(controlled).toBe(1);
  await forward('v1', 'db-0123456789ab');
  await expect.poll(controlled).toBe(2);
  await backToVersion(aCall(), cluster, ref(), await found(), annotation, 'v0', 'db');
  expect(await plain()).toEqual(before);
  const settled = async () => {
    const { metadata, status } = await found();
    return status?.observedGeneration === metadata?.generation;
  };
  await expect.poll(settled).toBe(true);
  expect(await controlled()).toBe(2);
});

test('somebody who changes the workload in this moment is not overwritten', async () => {
  const seen = await found();
  const label = { metadata: { name: 'web', namespace, labels: { by: 'hand' } } };
  await testing.api.patch(
    { ...ref(), ...label },
    undefined,
    undefined,
    'kubectl-edit',
    undefined,
    PatchStrategy.MergePatch,
  );
  const secret = { logical: 'db', name: 'db-0123456789ab' };
  await toVersion(aCall(), cluster, ref(), seen, annotation, 'v1', secret);
  expect((await found()).metadata?.labels).toMatchObject({ by: 'hand' });
  expect(namesOf(await plain())).toContain('db-0123456789ab');
});
