import { afterAll, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import type { DeliverySession } from '../../workers/deliveries/delivery.ts';
import type { Known } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { aVersion } from '../setup/versions.ts';
import { aMountedClass } from './provider-class-scenarios.ts';

afterAll(stopTestCluster);

/** As the plan keeps it in the journal. */
async function observed(session: DeliverySession): Promise<Known> {
  const before = await session.observe?.(aCall(), aVersion('v0'));
  return { before: JSON.parse(JSON.stringify(before)), since: new Date() };
}

const arrived = (session: DeliverySession, versionId: string, known: Known) =>
  session.holds(aCall(), aVersion(versionId), known);
const missing = (session: DeliverySession, versionId: string, known: Known) =>
  session.missing?.(aCall(), aVersion(versionId), known) ?? Promise.resolve();

test.each(['id', 'hash'] as const)(
  'every pod that mounts the class is waited for and named, forward and back; others are not (%s)',
  async (reports) => {
    const mounted = await aMountedClass({ reports, pods: ['web-0', 'web-1'] });
    const { session, driver, publish, pod } = mounted;
    await pod('waiting', { nodeName: undefined, schedulingGates: [{ name: 'example.com/wait' }] });
    await session.plan(aCall());
    const known = await observed(session);
    expect(await arrived(session, 'v0', known)).toBe(true);
    expect(await arrived(session, 'v1', known)).toBe(false);

    publish('v1');
    expect(await missing(session, 'v1', known)).toEqual({
      notYet: expect.stringMatching(
        /^secretproviderclass \S+\/db: pod web-0: it has version \S+ of shop\/db mounted.*; pod web-1: [^;]*$/,
      ),
    });
    await driver.rotate();
    expect(await missing(session, 'v1', known)).toBeUndefined();
    expect(await arrived(session, 'v1', known)).toBe(true);

    publish('v0');
    expect(await arrived(session, 'v0', known)).toBe(false);
    expect(await missing(session, 'v0', known)).toEqual({ notYet: expect.stringMatching(/web-0.*web-1/) });
    await driver.rotate();
    expect(await missing(session, 'v0', known)).toBeUndefined();
    expect(await arrived(session, 'v0', known)).toBe(true);
  },
);

test('a pod that came since is waited for until it is said what it has mounted', async () => {
  const { session, driver, publish, pod } = await aMountedClass();
  const known = await observed(session);
  publish('v1');
  await driver.stop();
  await pod('late', { nodeName: 'elsewhere' });
  expect(await missing(session, 'v1', known)).toEqual({
    notYet: expect.stringMatching(/pod late: the driver has not reported what it mounted of db; pod web-0/),
  });
});

test('after its time the wait ends, with the pod that is behind and what to look at', async () => {
  const { session, publish } = await aMountedClass({ spec: { timeout: '1m' } });
  const known = { ...(await observed(session)), since: new Date(Date.now() - 61_000) };
  publish('v1');
  await expect(missing(session, 'v1', known)).rejects.toMatchObject({
    code: 'delivery.failed',
    kind: 'retryable',
    message: expect.stringMatching(
      /pod web-0: it has version v0 of shop\/db mounted instead of v1, 1m .*after/,
    ),
    hint: expect.stringMatching(/enableSecretRotation.*requiresRepublish.*rotationPollInterval/),
  });
});

test('where no pod mounts the class there is nothing to wait for, and plan says so', async () => {
  const { session } = await aMountedClass({ pods: [] });
  await session.plan(aCall());
  expect(session.warnings).toContainEqual(expect.stringMatching(/no pod mounts it.*nothing to wait for/));
  expect(await arrived(session, 'v1', await observed(session))).toBe(true);
});

test('a mount by subPath is told by plan, since the driver’s word is about the volume', async () => {
  const { session } = await aMountedClass({ mount: { subPath: 'password' } });
  await session.plan(aCall());
  expect(session.warnings).toContainEqual(
    expect.stringMatching(/container web of pod web-0 has it by subPath.*`rolling`/),
  );
});

test('several objects have to be named, and only those that are named count', async () => {
  const objects = ['shop/db', 'shop/mail'];
  const { session } = await aMountedClass({ objects });
  await expect(session.plan(aCall())).rejects.toMatchObject({
    code: 'cluster.invalid',
    kind: 'terminal',
    message: expect.stringMatching(/pod web-0: db has 2 objects \(shop\/db, shop\/mail\)/),
  });
  const one = await aMountedClass({ objects, spec: { objects: ['shop/mail'] } });
  await one.session.plan(aCall());
  expect(await observed(one.session)).toMatchObject({
    before: { version: 'v0', baseline: { versions: { 'shop/mail': ['v0'] }, by: 'id' } },
  });
});

test('a class that is deleted is gone only when no pod mounts it any more', async () => {
  const { session, remove } = await aMountedClass();
  await remove('SecretProviderClass', 'db');
  await expect(session.deliver(aCall(), aVersion('v0'))).rejects.toMatchObject({
    code: 'delivery.failed',
    message: expect.stringMatching(/db is gone from cluster .* pods that still mount it: web-0/),
  });
  await remove('Pod', 'web-0');
  await expect(session.deliver(aCall(), aVersion('v0'))).rejects.toMatchObject({
    code: 'cluster.not-found',
    message: expect.stringMatching(/the Secrets Store CSI driver is not installed there/),
    hint: expect.stringMatching(/get crd secretproviderclasses\.secrets-store\.csi\.x-k8s\.io/),
  });
});

const classes = {
  apiGroups: ['secrets-store.csi.x-k8s.io'],
  resources: ['secretproviderclasses'],
  verbs: ['get'],
};
const pods = { apiGroups: [''], resources: ['pods'], verbs: ['list'] };
test.each([
  ['get secretproviderclass ', '"get" on secretproviderclasses', []],
  ['list pod', '"list" on pods', [classes]],
  [
    'get secretproviderclasspodstatus',
    '"get" on secretproviderclasspodstatuses of secrets-store',
    [classes, pods],
  ],
])('without the right to %s plan names it', async (verb, granted, rules) => {
  const { namespace, cluster, open } = await aMountedClass();
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'workers' };
  const subjects = [{ kind: 'User', name: 'limited', apiGroup: 'rbac.authorization.k8s.io' }];
  await namespace.create({ apiVersion, kind: 'Role', metadata: { name: 'workers' }, rules });
  await namespace.create({
    apiVersion,
    kind: 'RoleBinding',
    metadata: { name: 'workers' },
    roleRef,
    subjects,
  });
  const limited = kubeconfigClusters((config) => {
    config.loadFromString(cluster.kubeconfig);
    Object.assign(config.getCurrentUser() as object, { impersonateUser: 'limited' });
  });
  await expect(open('db', limited).plan(aCall())).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringContaining(`may not ${verb}`),
    hint: expect.stringContaining(granted),
  });
});
