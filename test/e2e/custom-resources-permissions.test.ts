import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Answered, condition, randomPolicy, type Stage, setStage } from './custom-resources-stage.ts';

vi.setConfig({ testTimeout: 300_000 });

const PAGE = join(import.meta.dirname, '../../docs/custom-resources.md');
let stage: Stage;

beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage.close());

/** The role that the page tells people to grant. */
async function documentedRole(): Promise<Answered> {
  const page = await readFile(PAGE, 'utf8');
  const [, block = ''] = /^```yaml\n(apiVersion: rbac.*?)^```$/ms.exec(page) ?? [];
  return parse(block);
}

/** A kubeconfig of somebody who may do what `rules` say in the namespace, and nothing else. */
async function userWith(name: string, rules: readonly object[]): Promise<string> {
  const { cluster, namespace } = stage;
  const api = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const post = async (url: string, body: object) => {
    const { status, body: answer } = await cluster.call('POST', url, { body });
    if (status > 201) throw new Error(`${url}: ${JSON.stringify(answer)}`);
    return answer;
  };
  await post(`${api}/roles`, { apiVersion, kind: 'Role', metadata: { name }, rules });
  const subject = cluster.sandbox
    ? { kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }
    : { kind: 'ServiceAccount', name, namespace };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
  await post(`${api}/rolebindings`, {
    apiVersion,
    kind: 'RoleBinding',
    metadata: { name },
    roleRef,
    subjects: [subject],
  });
  if (cluster.sandbox) {
    cluster.sandbox.addUser(name);
    return cluster.sandbox.kubeconfig(name);
  }
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await post(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = await post(`${accounts}/${name}/token`, review);
  const admin = parse(await readFile(process.env.ROTOR_TEST_KUBECONFIG ?? '', 'utf8'));
  const context = admin.contexts.find((each: Answered) => each.name === admin['current-context']);
  context.context.user = name;
  return stringify({ ...admin, users: [{ name, user: { token: status.token } }] });
}

test('the role that the page names is enough to follow custom resources', async () => {
  const { rules } = await documentedRole();
  const kubeconfig = await userWith('follower', rules);
  const rotor = await stage.rotor({ command: 'orchestrator', kubeconfig });
  await stage.apply('rotationpolicies', randomPolicy('allowed', stage.namespace));
  await stage.until('rotationpolicies', 'allowed', (it) => condition(it, 'Accepted')?.status === 'True');
  await stage.annotate('allowed', '1');
  const asked = await stage.until(
    'rotationpolicies',
    'allowed',
    ({ status }) => status?.lastRotateNow === '1',
  );
  expect(asked.status.state).toBe('rotating');
  const reasons = async () => (await stage.events('allowed')).map(({ reason }) => reason);
  await expect.poll(reasons, { timeout: 60_000 }).toEqual(['RotationStarted']);
  expect(rotor.output()).not.toContain('cluster.forbidden');
  await rotor.stop();
});

test.each([
  ['status', /may not patch rotationpolicy \S+\/lacking/, /on rotationpolicies\/status of rotor\.dev/],
  ['events', /may not create event \S+\/lacking/, /the verb \\"create\\" on events/],
])('a missing permission on %s is named in the log with object and verb', async (resource, what, hint) => {
  const { rules } = await documentedRole();
  const less = rules.map((rule: Answered) => ({
    ...rule,
    resources: rule.resources.filter((each: string) => !each.endsWith(resource)),
  }));
  const kubeconfig = await userWith(
    `lacks-${resource}`,
    less.filter((rule: Answered) => rule.resources.length > 0),
  );
  const rotor = await stage.rotor({ command: 'orchestrator', kubeconfig });
  await stage.apply('rotationpolicies', randomPolicy('lacking', stage.namespace));
  await stage.annotate('lacking', resource);
  await expect.poll(rotor.output, { timeout: 60_000 }).toMatch(what);
  expect(rotor.output()).toMatch(hint);
  await rotor.stop();
});
