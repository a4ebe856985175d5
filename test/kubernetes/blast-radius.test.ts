import { KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { readersOfSecret } from '../../workers/kubernetes/consumers/blast-radius.ts';
import { aCall } from '../setup/call.ts';

let api: SandboxApi;
let admin: KubernetesObjectApi;

beforeEach(async () => {
  api = await startApiServer();
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  admin = KubernetesObjectApi.makeApiClient(config);
});
afterEach(() => api.stop());

const RBAC = 'rbac.authorization.k8s.io';

async function grant(kind: 'Role' | 'ClusterRole', name: string, rule: object, user: string): Promise<void> {
  const metadata = { name, ...(kind === 'Role' ? { namespace: 'default' } : {}) };
  const roleRef = { apiGroup: RBAC, kind, name };
  const subjects = [{ kind: 'User', name: user, apiGroup: RBAC }];
  await admin.create({ apiVersion: `${RBAC}/v1`, kind, metadata, rules: [rule] } as never);
  await admin.create({
    apiVersion: `${RBAC}/v1`,
    kind: `${kind}Binding`,
    metadata,
    roleRef,
    subjects,
  } as never);
}

const ask = async (user = 'admin') => {
  const clusters = kubeconfigClusters((config) => config.loadFromString(api.kubeconfig(user)));
  const cluster = await clusters.open(undefined);
  return readersOfSecret(aCall(), cluster, { name: 'db', namespaces: ['default'] });
};

test('the roles and bindings of the cluster tell who may read a Secret, as the API server itself decides', async () => {
  await grant(
    'Role',
    'by-name',
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['db'], verbs: ['get'] },
    'alice',
  );
  await grant(
    'Role',
    'other',
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['tls'], verbs: ['get'] },
    'bob',
  );
  await grant('ClusterRole', 'pods', { apiGroups: [''], resources: ['pods'], verbs: ['create'] }, 'carol');
  const [seen] = await ask();
  expect(seen).toMatchObject({ secret: 'default/db', cluster: 'sandbox', blindSpots: [] });
  expect(seen?.readers).toContainEqual({
    subject: 'User alice',
    verbs: ['get'],
    through: 'RoleBinding default/by-name to Role by-name',
  });
  expect(seen?.readers.map(({ subject }) => subject)).not.toContain('User bob');
  expect(seen?.indirect.mount).toBe(1);
  for (const [user, allowed] of [
    ['alice', true],
    ['bob', false],
    ['carol', false],
  ] as const) {
    const review = await admin.create({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: { name: '' },
      spec: {
        user,
        resourceAttributes: { verb: 'get', resource: 'secrets', namespace: 'default', name: 'db' },
      },
    } as never);
    expect((review as { status?: { allowed: boolean } }).status?.allowed, user).toBe(allowed);
  }
});

test('what may not be listed is a blind spot in words', async () => {
  api.addUser('rotor');
  await grant(
    'Role',
    'look',
    { apiGroups: [RBAC], resources: ['roles', 'rolebindings'], verbs: ['list'] },
    'rotor',
  );
  const [seen] = await ask('rotor');
  expect(seen?.blindSpots).toEqual([
    expect.stringMatching(/rotor may not list clusterrole /),
    expect.stringMatching(/rotor may not list clusterrolebinding /),
  ]);
});
