import { describe, expect, test } from 'vitest';
import { type Binding, blastRadiusOf, type Rbac, type Role, type Rule } from './readers.ts';

const role = (name: string, rules: readonly Rule[], namespace?: string): Role => ({
  metadata: { name, ...(namespace ? { namespace } : {}) },
  rules,
});

function binding(name: string, to: string, subjects: Binding['subjects'], namespace?: string): Binding {
  const [kind = '', roleName = ''] = to.split(' ');
  return {
    metadata: { name, ...(namespace ? { namespace } : {}) },
    roleRef: { kind, name: roleName },
    ...(subjects ? { subjects } : {}),
  };
}

const alice = { kind: 'User', name: 'alice' };
const secrets = (verbs: string[], more: Partial<Rule> = {}): Rule => ({
  apiGroups: [''],
  resources: ['secrets'],
  verbs,
  ...more,
});

/** Whoever is bound to one role in the namespace of the Secret. */
function withRole(...rules: Rule[]): Rbac {
  return {
    roles: [role('r', rules, 'shop')],
    clusterRoles: [],
    roleBindings: [binding('b', 'Role r', [alice], 'shop')],
    clusterRoleBindings: [],
  };
}

const of = (rbac: Rbac) => blastRadiusOf(rbac, { namespace: 'shop', name: 'db' });

describe('a rule gives the Secret', () => {
  test.each<[string, Rule, readonly string[]]>([
    ['with get', secrets(['get']), ['get']],
    ['with list and watch, which show the content too', secrets(['list', 'watch']), ['list', 'watch']],
    ['with every verb', secrets(['*']), ['get', 'list', 'watch']],
    ['of every resource', { apiGroups: ['*'], resources: ['*'], verbs: ['get'] }, ['get']],
    ['by its name', secrets(['get'], { resourceNames: ['db', 'x'] }), ['get']],
    ['by its name, for a list narrowed to it', secrets(['list'], { resourceNames: ['db'] }), ['list']],
  ])('%s', (_what, rule, verbs) => {
    expect(of(withRole(rule)).readers).toEqual([
      { subject: 'User alice', verbs, through: 'RoleBinding shop/b to Role r' },
    ]);
  });

  test.each<[string, Rule]>([
    ['that may only be written', secrets(['create', 'update', 'patch', 'delete'])],
    ['of another name', secrets(['get'], { resourceNames: ['other'] })],
    ['of another API group', secrets(['get'], { apiGroups: ['example.com'] })],
    ['but only its subresource', { ...secrets(['get']), resources: ['secrets/status'] }],
  ])('not one %s', (_what, rule) => {
    expect(of(withRole(rule)).readers).toEqual([]);
  });
});

test('bindings count where they hold: cluster-wide, in the namespace, and nowhere else', () => {
  const rbac: Rbac = {
    roles: [role('r', [secrets(['get'])], 'other')],
    clusterRoles: [role('view-secrets', [secrets(['get'])])],
    roleBindings: [
      binding('local', 'ClusterRole view-secrets', [{ kind: 'ServiceAccount', name: 'web' }], 'shop'),
      binding('elsewhere', 'ClusterRole view-secrets', [{ kind: 'User', name: 'bob' }], 'other'),
      binding('dangling', 'Role r', [alice], 'shop'),
      binding('nobody', 'ClusterRole view-secrets', undefined, 'shop'),
    ],
    clusterRoleBindings: [
      binding('ops', 'ClusterRole view-secrets', [
        { kind: 'Group', name: 'ops' },
        { kind: 'ServiceAccount', name: 'backup', namespace: 'tools' },
      ]),
    ],
  };
  expect(of(rbac).readers.map(({ subject, through }) => `${subject} by ${through}`)).toEqual([
    'Group ops by ClusterRoleBinding ops to ClusterRole view-secrets',
    'ServiceAccount shop/web by RoleBinding shop/local to ClusterRole view-secrets',
    'ServiceAccount tools/backup by ClusterRoleBinding ops to ClusterRole view-secrets',
  ]);
});

test('an aggregated role gives what those that it selects give, also in a circle', () => {
  const part: Role = {
    metadata: { name: 'part', labels: { to: 'all' } },
    rules: [secrets(['watch'])],
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'all' } }] },
  };
  const all: Role = {
    metadata: { name: 'all' },
    rules: null,
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: 'all' } }] },
  };
  const rbac: Rbac = {
    roles: [],
    clusterRoles: [part, all],
    roleBindings: [binding('b', 'ClusterRole all', [alice], 'shop')],
    clusterRoleBindings: [],
  };
  expect(of(rbac).readers).toMatchObject([{ subject: 'User alice', verbs: ['watch'] }]);
});

describe('who comes by the content in another way is counted', () => {
  test.each<[string, Rule, object]>([
    ['may create pods', { apiGroups: [''], resources: ['pods'], verbs: ['create'] }, { mount: 1 }],
    [
      'may patch Deployments',
      { apiGroups: ['apps'], resources: ['deployments'], verbs: ['patch'] },
      { mount: 1 },
    ],
    ['may create Jobs', { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create'] }, { mount: 1 }],
    [
      'may run a command in pods',
      { apiGroups: [''], resources: ['pods/exec'], verbs: ['create'] },
      { exec: 1 },
    ],
    [
      'may run a command in anything',
      { apiGroups: [''], resources: ['*/exec'], verbs: ['create'] },
      { exec: 1 },
    ],
    [
      'may act as others',
      { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] },
      { impersonate: 1 },
    ],
    [
      'may make tokens',
      { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
      { impersonate: 1 },
    ],
    [
      'may bind roles',
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['bind'] },
      { escalate: 1 },
    ],
    ['may look at pods only', { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }, {}],
  ])('who %s', (_what, rule, expected) => {
    const none = { mount: 0, exec: 0, impersonate: 0, escalate: 0 };
    expect(of(withRole(rule))).toEqual({ readers: [], indirect: { ...none, ...expected } });
  });

  test('once, and not when it may read the Secret anyway', () => {
    const create: Rule = { apiGroups: [''], resources: ['pods'], verbs: ['create'] };
    const twice: Rbac = {
      ...withRole(create),
      roleBindings: [binding('b', 'Role r', [alice], 'shop'), binding('c', 'Role r', [alice], 'shop')],
    };
    expect(of(twice).indirect.mount).toBe(1);
    expect(of(withRole(create, secrets(['get']))).indirect.mount).toBe(0);
  });
});
