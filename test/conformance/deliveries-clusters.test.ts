import { randomBytes } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { type Clusters, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster, type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';

let cluster: TestCluster;
let one: TestNamespace;
let other: TestNamespace;
afterAll(stopTestCluster);
beforeEach(async () => {
  cluster = await testCluster();
  [one, other] = await Promise.all([cluster.namespace(), cluster.namespace()]);
  onTestFinished(async () => {
    await one.remove();
    await other.remove();
  });
});

const credential = (versionId: string): Credential => ({
  versionId,
  identity: 'app',
  fields: { username: 'app' },
  secrets: { password: SecretValue.of(`password-of-${versionId}`) },
});
const [v1, v2] = [credential('v1'), credential('v2')];

function open(spec: object, clusters: Clusters = cluster.clusters) {
  const delivery = secretDelivery({ clusters });
  return delivery.open(delivery.spec.parse({ name: 'db', ...spec }));
}

async function versionIn({ name: namespace }: TestNamespace): Promise<string | undefined> {
  const ref = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db', namespace } };
  return (await cluster.api.read<V1Secret>(ref)).metadata?.annotations?.['rotor.dev/version'];
}

/** The kubeconfig of the cluster with a second context, whose user the admin speaks for. */
function withUser(user: string): Clusters {
  return kubeconfigClusters((config) => {
    config.loadFromString(cluster.kubeconfig);
    const [first] = config.getUsers();
    const context = config.getContextObject(config.getCurrentContext());
    if (!first || !context) throw new Error('the kubeconfig has no user and context');
    config.users = [...config.getUsers(), { ...first, name: 'limited', impersonateUser: user }];
    config.contexts = [...config.getContexts(), { ...context, name: 'limited', user: 'limited' }];
  });
}

async function allow(user: string, namespace: TestNamespace, verbs: readonly string[]): Promise<void> {
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  await namespace.create({
    apiVersion,
    kind: 'Role',
    metadata: { name: user },
    rules: [{ apiGroups: [''], resources: ['secrets'], verbs }],
  });
  await namespace.create({
    apiVersion,
    kind: 'RoleBinding',
    metadata: { name: user },
    roleRef: role,
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
}

const someUser = () => `worker-${randomBytes(4).toString('hex')}`;

test('each context of the kubeconfig is delivered to as the user that it names', async () => {
  const user = someUser();
  await allow(user, other, ['get', 'create', 'patch']);
  const clusters = withUser(user);
  const current = open({ namespaces: [one.name] }, clusters);
  const limited = open({ namespaces: [other.name], context: 'limited' }, clusters);
  for (const session of [current, limited]) {
    await session.plan(aCall());
    await session.deliver(aCall(), v1);
    expect(await session.holds(aCall(), v1)).toBe(true);
  }
  const beyond = open({ namespaces: [one.name], context: 'limited' }, clusters);
  await expect(beyond.plan(aCall())).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringContaining(`${user} may not get secret ${one.name}/db`),
  });
  const unknown = open({ namespaces: [one.name], context: 'nowhere' }, clusters);
  await expect(unknown.plan(aCall())).rejects.toMatchObject({
    code: 'config.invalid',
    message: expect.stringContaining('no context "nowhere"; it has'),
  });
});

test('a second namespace that may not be written is refused by plan, before the first is touched', async () => {
  const user = someUser();
  await allow(user, one, ['get', 'create', 'patch']);
  await allow(user, other, ['get']);
  const session = open({ namespaces: [one.name, other.name], context: 'limited' }, withUser(user));
  await expect(session.plan(aCall())).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringContaining(`${user} may not patch secret ${other.name}/db`),
  });
  await expect(versionIn(one)).rejects.toMatchObject({ code: 404 });
});

test('a right that is lost in the middle: the message names verb and object, and the way back puts the first namespace right', async () => {
  const user = someUser();
  const both = [one.name, other.name];
  await open({ namespaces: both }).deliver(aCall(), v1);
  await allow(user, one, ['get', 'create', 'patch']);
  await allow(user, other, ['get']);
  const session = open({ namespaces: both, context: 'limited' }, withUser(user));
  await expect(session.deliver(aCall(), v2)).rejects.toMatchObject({
    code: 'cluster.forbidden',
    kind: 'terminal',
    message: expect.stringContaining(`${user} may not patch secret ${other.name}/db`),
    hint: expect.stringContaining('"patch" on secrets'),
  });
  expect(await Promise.all([versionIn(one), versionIn(other)])).toEqual(['v2', 'v1']);
  await session.deliver(aCall(), v1);
  expect(await session.holds(aCall(), v1)).toBe(true);
  expect(await Promise.all([versionIn(one), versionIn(other)])).toEqual(['v1', 'v1']);
});

test('versioned: who may not remove Secrets, or see who reads them, is told why one stays', async () => {
  const user = someUser();
  await allow(user, one, ['get', 'create', 'patch']);
  const session = open({ namespaces: [one.name], context: 'limited', style: 'versioned' }, withUser(user));
  await session.plan(aCall());
  for (const each of [v1, v2]) await session.deliver(aCall(), each);
  expect(await session.collect?.(aCall(), ['v1'])).toEqual({
    removed: [],
    kept: [expect.stringMatching(/^secret .*: cluster .* may not list pod/)],
  });
});
