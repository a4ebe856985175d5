import { KubeConfig, KubernetesObjectApi, type V1StatefulSet } from '@kubernetes/client-node';
import { expect, onTestFinished, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { startApiServer } from '../../sandbox/api/server.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import { aCall } from '../setup/call.ts';
import { aVersion } from '../setup/versions.ts';

const metadata = { name: 'queue', namespace: 'default' };

test('a StatefulSet is not touched while its disruption budget is short of a pod, unless nobody may wait', async () => {
  const api = await startApiServer();
  onTestFinished(() => api.stop());
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  const admin = KubernetesObjectApi.makeApiClient(config);
  const pods = { containers: [{ name: 'web', image: 'x', envFrom: [{ secretRef: { name: 'db' } }] }] };
  const labels = { app: 'queue' };
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata,
    spec: {
      serviceName: 'q',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: pods },
    },
  };
  const budget = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata };
  const annotations = { 'rotor.dev/version': 'v1' };
  await admin.create(set as never);
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { ...metadata, name: 'db', annotations } };
  await admin.create(secret as never);
  await admin.create({ ...budget, spec: { minAvailable: 2, selector: { matchLabels: labels } } } as never);
  const allows = async (disruptionsAllowed: number) => {
    const kept = await admin.read(budget);
    const status = { disruptionsAllowed, currentHealthy: 2, desiredHealthy: 2, expectedPods: 3 };
    api.seed('policy/poddisruptionbudgets', [{ ...kept, status } as never]);
  };
  const clusters = kubeconfigClusters((each) => each.loadFromString(api.kubeconfig()));
  const rollout = rollingRollout({ clusters });
  const spec = { statefulSet: 'queue', namespace: 'default', secretName: 'db' };
  const session = rollout.open('queue', rollout.spec.parse(spec));
  const move = (versionId: string, mayWait: boolean) =>
    session.move(aCall(), aVersion(versionId), 'forward', 0, {
      before: undefined,
      since: new Date(),
      mayWait,
    });
  const version = async () =>
    (await admin.read<V1StatefulSet>(set)).spec?.template.metadata?.annotations?.['secret.rotor.dev/db'];

  await allows(0);
  const held = {
    notYet: expect.stringMatching(/statefulset default\/queue .*PodDisruptionBudget queue allows no pod/),
  };
  expect(await move('v1', true)).toEqual(held);
  expect(await version()).toBeUndefined();
  await allows(1);
  await move('v1', true);
  expect(await version()).toBe('v1');

  await allows(0);
  await admin.patch({
    ...secret,
    metadata: { ...secret.metadata, annotations: { 'rotor.dev/version': 'v2' } },
  } as never);
  expect(await move('v2', true)).toEqual(held);
  await move('v2', false);
  expect(await version()).toBe('v2');
});
