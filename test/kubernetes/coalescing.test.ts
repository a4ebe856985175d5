import { PatchStrategy, type V1Deployment, type V1ReplicaSet } from '@kubernetes/client-node';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import type { ConsumerProof, Going } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, testCluster } from '../setup/cluster.ts';

afterAll(stopTestCluster);

const WINDOW_MS = 2_000;
const version = (versionId: string): Credential => ({ versionId, identity: 'app', fields: {}, secrets: {} });

/** A Deployment whose pods read two Secrets, each rotated by a policy of its own. */
async function twoCredentials() {
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  onTestFinished(() => namespace.remove());
  const secrets = ['mail', 'db'];
  for (const name of secrets)
    await namespace.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, annotations: { 'rotor.dev/version': 'v0' } },
      stringData: { password: 'x' },
    });
  const labels = { app: 'shop' };
  await namespace.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'shop' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'web',
              image: 'sandbox/node',
              command: ['-e', 'setInterval(() => {}, 1000)'],
              env: secrets.map((name) => ({
                name: name.toUpperCase(),
                valueFrom: { secretKeyRef: { name, key: 'password' } },
              })),
            },
          ],
        },
      },
    },
  });
  const named = { metadata: { name: 'shop', namespace: namespace.name } };
  const deployment = () =>
    cluster.api.read<V1Deployment>({ apiVersion: 'apps/v1', kind: 'Deployment', ...named });
  await expect.poll(async () => (await deployment()).status?.availableReplicas, { timeout: 30_000 }).toBe(1);
  const rollout = rollingRollout({ clusters: cluster.clusters });
  const policy = (secretName: string) => {
    const spec = { deployment: 'shop', namespace: namespace.name, secretName };
    const session = rollout.open(secretName, rollout.spec.parse(spec));
    return {
      deliver: async (versionId: string) => {
        const annotations = { 'rotor.dev/version': versionId };
        const metadata = { name: secretName, namespace: namespace.name, annotations };
        const patch = { apiVersion: 'v1', kind: 'Secret', metadata };
        await cluster.api.patch(patch, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch);
      },
      look: (versionId: string, going: Going = 'forward') =>
        session.move(aCall(), version(versionId), going, WINDOW_MS),
      moved: async (versionId: string, going: Going = 'forward'): Promise<ConsumerProof> => {
        for (let tries = 0; tries < 600; tries += 1) {
          const seen = await session.move(aCall(), version(versionId), going, WINDOW_MS);
          if (!('notYet' in seen)) return seen;
          await systemClock.sleep(50);
        }
        throw new Error('it did not move');
      },
    };
  };
  return {
    mail: policy('mail'),
    db: policy('db'),
    replicaSets: async () =>
      (await cluster.api.list<V1ReplicaSet>('apps/v1', 'ReplicaSet', namespace.name)).items.length,
    annotations: async () => (await deployment()).metadata?.annotations ?? {},
    template: async () => (await deployment()).spec?.template.metadata?.annotations,
  };
}

test('two credentials of one Deployment within the window are one rollout; one goes back, and the other stays', async () => {
  const { mail, db, replicaSets, template, annotations } = await twoCredentials();
  await mail.deliver('m1');
  expect(await mail.look('m1')).toEqual({ notYet: expect.stringMatching(/other credentials may join/) });
  await db.deliver('d1');
  expect(await db.look('d1')).toEqual({ notYet: expect.stringMatching(/other credentials may join/) });
  // A wish alone restarts nobody.
  expect(await replicaSets()).toBe(1);
  await Promise.all([mail.moved('m1'), db.moved('d1')]);
  expect(await template()).toEqual({ 'secret.rotor.dev/mail': 'm1', 'secret.rotor.dev/db': 'd1' });
  expect(await replicaSets()).toBe(2);
  expect(Object.keys(await annotations()).filter((name) => name.startsWith('pending.'))).toEqual([]);

  await mail.deliver('v0');
  await mail.moved('v0', 'back');
  expect(await template()).toEqual({ 'secret.rotor.dev/db': 'd1' });
  expect(await db.look('d1')).toMatchObject({ healthy: true });
});

test('a wish is taken back before it was fulfilled: nobody restarts for it, nor for another', async () => {
  const { mail, db, replicaSets, template } = await twoCredentials();
  await mail.deliver('m1');
  await mail.look('m1');
  await mail.deliver('v0');
  await mail.moved('v0', 'back');
  expect(await replicaSets()).toBe(1);
  await db.deliver('d1');
  await db.moved('d1');
  expect(await template()).toEqual({ 'secret.rotor.dev/db': 'd1' });
});

test('a wish whose Secret does not carry the version yet is left to its own rotation', async () => {
  const { mail, db, template, annotations } = await twoCredentials();
  await mail.deliver('m1');
  await mail.look('m1');
  await mail.deliver('other');
  await db.deliver('d1');
  await db.moved('d1');
  expect(await template()).toEqual({ 'secret.rotor.dev/db': 'd1' });
  expect(await annotations()).toHaveProperty(['pending.secret.rotor.dev/mail']);
});
