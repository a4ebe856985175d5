import { afterAll, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import type { RolloutSession } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, testCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { aVersion } from '../setup/versions.ts';
import { aMountingShop, type Mounting } from './mounted-scenarios.ts';

afterAll(stopTestCluster);

const forward = (session: RolloutSession): Promise<unknown> =>
  session.move(aCall(), aVersion('v1'), 'forward').catch((error: unknown) => error);
const settled = (session: RolloutSession): Promise<unknown> =>
  session.finish?.(aCall(), aVersion('v1')) ?? Promise.resolve();

test.each<Mounting>([
  { by: 'podReload', reports: 'hash', rotates: false },
  { by: 'podReload', reports: 'id', rotates: false },
])(
  'a mount that is never updated is no evidence: rollout and settle wait, and name the pod (%o)',
  async (mounting) => {
    const shop = await aMountingShop({ ...mounting, spec: { timeout: '1h' } });
    await shop.session.plan(aCall());
    await shop.deliver('v1');
    const waiting = { notYet: expect.stringMatching(/pod shop-\S+: it has version \S+ of shop\/db mounted/) };
    expect(await forward(shop.session)).toEqual(waiting);
    expect(await settled(shop.session)).toEqual(waiting);
    expect(await shop.running()).toBe('v0');

    await shop.driver.rotate();
    expect(await forward(shop.session)).toMatchObject({
      healthy: true,
      pods: [
        { by: 'mounted', onVersion: true, mounted: { 'shop/db': expect.any(String) } },
        { by: 'mounted', onVersion: true },
      ],
    });
    expect(await shop.running()).toBe('v1');
    expect(await settled(shop.session)).toBeUndefined();
  },
);

test('after its time the rollout ends, and says what to look at', async () => {
  const shop = await aMountingShop({
    by: 'podReload',
    reports: 'hash',
    rotates: false,
    spec: { timeout: '1ms' },
  });
  await shop.deliver('v1');
  expect(await forward(shop.session)).toMatchObject({
    code: 'rollout.unhealthy',
    kind: 'terminal',
    message: expect.stringMatching(
      /deployment \S+\/shop in cluster \S+: pod shop-\S+: .* as before the rotation/,
    ),
    hint: expect.stringMatching(/enableSecretRotation.*rolling/),
  });
});

test('pods that started with the old version are not proven, also not when the driver changes their files, until they are made anew', async () => {
  const shop = await aMountingShop({ by: 'rolling', reports: 'hash', rotates: false });
  await expect
    .poll(() => forward(shop.session), { timeout: 30_000 })
    .toEqual({ notYet: expect.stringMatching(/pod shop-\S+: .* as before the rotation/) });
  await shop.deliver('v1');
  await shop.driver.rotate();
  expect(await forward(shop.session)).toEqual({
    notYet: expect.stringMatching(/pod shop-\S+: .*after its containers had started.*delete the pod/),
  });
  expect(await shop.running()).toBe('v0');

  await shop.remakePods();
  await expect
    .poll(() => forward(shop.session), { timeout: 30_000 })
    .toMatchObject({ healthy: true, version: 'restarted', pods: [{ by: 'mounted' }, { by: 'mounted' }] });
  expect(await shop.running()).toBe('v1');
  expect(await settled(shop.session)).toBeUndefined();
});

test('on the way back pods that ran all the time are proven, those that started with the new version are not', async () => {
  const shop = await aMountingShop({ by: 'rolling', reports: 'hash', rotates: true });
  const back = () =>
    shop.session.move(aCall(), aVersion('v0'), 'back').catch((error: unknown): unknown => error);
  // The driver brings both versions into the files of the same pods.
  await shop.deliver('v1');
  expect(await back()).toEqual({ notYet: expect.stringMatching(/not yet the one of before/) });
  await shop.deliver('v0');
  expect(await back()).toMatchObject({ healthy: true, pods: [{ by: 'mounted' }, { by: 'mounted' }] });

  await shop.deliver('v1');
  // Starts have whole seconds.
  await laterSecond();
  await shop.remakePods();
  await expect.poll(() => shop.running(), { timeout: 20_000 }).toBe('v1');
  await shop.deliver('v0');
  await expect
    .poll(back, { timeout: 20_000 })
    .toEqual({ notYet: expect.stringMatching(/after its containers had started.*delete the pod/) });
  await shop.remakePods();
  await expect.poll(back, { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.running()).toBe('v0');
});

test('a class that is mounted by two volumes is refused, as the driver reports one of them', async () => {
  const shop = await aMountingShop({ by: 'rolling', reports: 'id', rotates: true, volumes: 2 });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(/2 volumes of class shop-db/),
  });
});

test('an object that the class does not have is refused by plan, with those that it has', async () => {
  const spec = { objects: ['shop/mail'] };
  const shop = await aMountingShop({ by: 'rolling', reports: 'id', rotates: true, spec });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(
      /pod shop-\S+: .*no version of object shop\/mail of shop-db, but of shop\/db/,
    ),
  });
});

test('a change of another object is no evidence', async () => {
  const spec = { objects: ['shop/db'], timeout: '1h' };
  const shop = await aMountingShop({ by: 'podReload', reports: 'id', rotates: true, spec });
  shop.gives({ content: 'v0', versions: { 'shop/db': 'v0', 'shop/mail': 'v1' } });
  await shop.driver.rotate();
  expect(await forward(shop.session)).toEqual({
    notYet: expect.stringMatching(/version v0 of shop\/db mounted instead of v1/),
  });
});

test('without the right to read what the driver reports, plan names verb and object', async () => {
  const shop = await aMountingShop({ by: 'rolling', reports: 'id', rotates: true });
  const { kubeconfig, api } = await testCluster();
  const { namespace } = shop;
  await api.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'workers', namespace },
    rules: [
      { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'patch'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    ],
  } as never);
  await api.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'workers', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'workers' },
    subjects: [{ kind: 'User', name: 'limited', apiGroup: 'rbac.authorization.k8s.io' }],
  } as never);
  const clusters = kubeconfigClusters((config) => {
    config.loadFromString(kubeconfig);
    const user = config.getCurrentUser();
    Object.assign(user as object, { impersonateUser: 'limited' });
  });
  const rollout = rollingRollout({ clusters });
  const spec = { deployment: 'shop', namespace, secretProviderClass: 'shop-db' };
  const session = rollout.open('shop', rollout.spec.parse(spec));
  await expect(session.plan(aCall())).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringMatching(/may not get secretproviderclasspodstatus/),
    hint: expect.stringMatching(
      /"get" on secretproviderclasspodstatuses of secrets-store.csi.x-k8s.io in namespace/,
    ),
  });
});
