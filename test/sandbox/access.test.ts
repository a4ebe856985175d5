import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Cluster, onSandbox, useCluster } from './cluster.ts';

const user = `u-${randomBytes(4).toString('hex')}`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';

let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await useCluster();
  namespace = await cluster.namespace();
  const roles = `${rbac}/namespaces/${namespace}`;
  const rules = [
    { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['mine'] },
    { verbs: ['list'], apiGroups: [''], resources: ['configmaps'] },
    { verbs: ['patch'], apiGroups: ['apps'], resources: ['deployments/scale'] },
  ];
  await cluster.call('POST', `${roles}/roles`, { body: { metadata: { name: 'reader' }, rules } });
  await cluster.call('POST', `${roles}/rolebindings`, {
    body: {
      metadata: { name: 'reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  });
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/secrets`, {
    body: { metadata: { name: 'mine' } },
  });
});

const as = (method: string, path: string, body?: object): Promise<Answer> =>
  cluster.call(method, path, { as: user, ...(body ? { body } : {}) });

describe('a request', () => {
  it('with a token that nobody has is Unauthorized', async () => {
    const { status, body } = await cluster.call('GET', '/api/v1/namespaces', { token: 'nobody' });
    expect(status).toBe(401);
    expect(body).toMatchObject({
      kind: 'Status',
      reason: 'Unauthorized',
      message: 'Unauthorized',
      code: 401,
    });
  });

  it('does what a role allows, for the names it allows', async () => {
    expect((await as('GET', `/api/v1/namespaces/${namespace}/secrets/mine`)).status).toBe(200);
    expect((await as('GET', `/api/v1/namespaces/${namespace}/configmaps`)).status).toBe(200);
  });

  it.each([
    [
      'GET',
      '/secrets/x',
      `secrets "x" is forbidden: User "${user}" cannot get resource "secrets" in API group "" in the namespace "NS"`,
    ],
    [
      'GET',
      '/secrets',
      `secrets is forbidden: User "${user}" cannot list resource "secrets" in API group "" in the namespace "NS"`,
    ],
    [
      'DELETE',
      '/secrets/mine',
      `secrets "mine" is forbidden: User "${user}" cannot delete resource "secrets" in API group "" in the namespace "NS"`,
    ],
  ])('is Forbidden otherwise: %s %s', async (method, path, message) => {
    const { status, body } = await as(method, `/api/v1/namespaces/${namespace}${path}`);
    expect(status).toBe(403);
    expect(body.message).toBe(message.replace('NS', namespace));
  });

  it('is Forbidden at the cluster scope and for subresources in words of their own', async () => {
    const all = await as('GET', '/apis/apps/v1/deployments');
    expect(all.body).toMatchObject({
      reason: 'Forbidden',
      message: `deployments.apps is forbidden: User "${user}" cannot list resource "deployments" in API group "apps" at the cluster scope`,
      details: { group: 'apps', kind: 'deployments' },
    });
    const status = await as('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/d/status`);
    expect(status.body.message).toBe(
      `deployments.apps "d" is forbidden: User "${user}" cannot get resource "deployments/status" in API group "apps" in the namespace "${namespace}"`,
    );
  });
});

describe('a review', () => {
  const review = async (resourceAttributes: object): Promise<Answer> =>
    cluster.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      body: { spec: { user, resourceAttributes: { namespace, ...resourceAttributes } } },
    });

  it('tells what a user may do, and why', async () => {
    const yes = await review({ verb: 'get', resource: 'secrets', name: 'mine' });
    expect(yes.body.status).toEqual({
      allowed: true,
      reason: `RBAC: allowed by RoleBinding "reader/${namespace}" of Role "reader" to User "${user}"`,
    });
    expect((await review({ verb: 'get', resource: 'secrets' })).body.status.allowed).toBe(false);
    const scale = { verb: 'patch', group: 'apps', resource: 'deployments', subresource: 'scale' };
    expect((await review(scale)).body.status.allowed).toBe(true);
  });

  it('tells who asks what they may do', async () => {
    const body = { spec: { resourceAttributes: { namespace, verb: 'list', resource: 'configmaps' } } };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    expect((await as('POST', path, body)).body.status.allowed).toBe(true);
  });

  it('refuses a token that nobody has', async () => {
    const path = '/apis/authentication.k8s.io/v1/tokenreviews';
    const { body } = await cluster.call('POST', path, { body: { spec: { token: 'nobody' } } });
    expect(body.status.authenticated).toBeUndefined();
    expect(body.status.error).toContain('invalid bearer token');
  });
});

describe.runIf(onSandbox)('a made user', () => {
  it('comes in with the token, and is known to reviews', async () => {
    const token = cluster.sandbox?.addUser('robot', ['robots']) ?? '';
    const denied = await cluster.call('GET', '/api/v1/namespaces', { token });
    expect(denied.body.message).toContain('User "robot" cannot list resource "namespaces"');
    expect((await cluster.call('GET', '/apis', { token })).status).toBe(200);
    const path = '/apis/authentication.k8s.io/v1/tokenreviews';
    const { body } = await cluster.call('POST', path, { body: { spec: { token } } });
    expect(body.status.user).toMatchObject({ username: 'robot', groups: ['robots', 'system:authenticated'] });
    expect(cluster.sandbox?.kubeconfig('robot')).toContain(token);
  });
});
