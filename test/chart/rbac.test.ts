import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CHART, ofKind, type Rendered, render, skippedWithoutHelm, the } from './helm.ts';

const DOCS = join(CHART, '..', '..', 'docs', 'kubernetes.md');
const skipped = skippedWithoutHelm('the suite of the chart’s roles');

type Rights = Readonly<Record<string, readonly string[]>>;

/** What a role allows, resource by resource, its verbs in order. */
function rightsOf(role: Rendered): Rights {
  const rights = new Map<string, Set<string>>();
  for (const { resources, verbs } of role.rules) {
    for (const resource of resources) {
      const known = rights.get(resource) ?? new Set();
      for (const verb of verbs) known.add(verb);
      rights.set(resource, known);
    }
  }
  return inOrder(rights);
}

const NEEDED = 'What the workers need';
const BESIDES = 'What some policies need besides';

/** The tables of docs/kubernetes.md under these titles. */
const documentedRights = (...titles: readonly string[]): Rights => rightsIn('kubernetes.md', ...titles);

function rightsIn(name: string, ...titles: readonly string[]): Rights {
  const page = readFileSync(join(DOCS, '..', name), 'utf8');
  const sections = titles.map((title) => page.split(`## ${title}\n`)[1]?.split(/^## /m)[0] ?? '');
  const rights = new Map<string, Set<string>>();
  for (const line of sections.join('\n').split('\n')) {
    const [, verbs = '', resources = ''] = line.split('|').map((cell) => cell.trim());
    if (!/^[a-z, ]+$/.test(verbs) || verbs === 'verb') continue;
    for (const named of resources.split(', ')) {
      const resource = named.replace(/\.argoproj\.io$/, '');
      rights.set(resource, new Set([...(rights.get(resource) ?? []), ...verbs.split(', ')]));
    }
  }
  return inOrder(rights);
}

function inOrder(rights: ReadonlyMap<string, ReadonlySet<string>>): Rights {
  return Object.fromEntries([...rights].map(([resource, verbs]) => [resource, [...verbs].sort()]));
}

describe.skipIf(skipped)('roles of the chart', () => {
  test('by default there are none: nothing in the cluster is reached', async () => {
    const objects = await render();
    for (const kind of ['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'])
      expect(ofKind(objects, kind)).toEqual([]);
  });

  test('the workers may do what docs/kubernetes.md lists, in the named namespaces, and nothing else', async () => {
    const objects = await render({ values: { namespaces: [{ name: 'shop' }, { name: 'billing' }] } });
    const roles = ofKind(objects, 'Role');
    expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(['shop', 'billing']);
    expect(Object.keys(documentedRights(NEEDED))).toContain('secrets');
    for (const role of roles) expect(rightsOf(role)).toEqual(documentedRights(NEEDED));
    expect(ofKind(objects, 'ClusterRole')).toEqual([]);
    const worker = the(objects, 'ServiceAccount', '-worker').metadata;
    for (const { subjects, roleRef, metadata } of ofKind(objects, 'RoleBinding')) {
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: worker.name, namespace: worker.namespace }]);
      expect(roles.map((role) => role.metadata.name)).toContain(roleRef.name);
      expect(metadata.namespace).not.toBe('rotor');
    }
  });

  test('what only some policies need is there when it is switched on, as docs/kubernetes.md lists it', async () => {
    const strategies = {
      argoRollouts: true,
      podReload: true,
      delegated: true,
      csi: true,
      externalSecrets: true,
    };
    const rbac = { strategies, versionedSecrets: true, watchSecrets: true, removeStuckPods: true };
    const role = the(await render({ values: { namespaces: [{ name: 'shop' }], rbac } }), 'Role');
    expect(rightsOf(role)).toEqual(documentedRights(NEEDED, BESIDES));
  });

  test('Secrets that are named are the only ones, and none is created beside them', async () => {
    const objects = await render({ values: { namespaces: [{ name: 'shop', secrets: ['orders-db'] }] } });
    const rules = the(objects, 'Role').rules.filter((rule: { resources: string[] }) =>
      rule.resources.includes('secrets'),
    );
    expect(rules).toEqual([
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['orders-db'], verbs: ['get', 'patch'] },
    ]);
  });

  test('a store in a cluster gets what docs/stores.md lists, in its namespace alone; who plans gets it too', async () => {
    const values = { storeNamespaces: ['vault'], orchestrator: { plan: true } };
    const objects = await render({ values });
    const roles = ofKind(objects, 'Role').map(({ metadata, rules }) => [
      metadata.name,
      metadata.namespace,
      rules,
    ]);
    const page = readFileSync(join(CHART, '..', '..', 'docs', 'stores.md'), 'utf8');
    const documented = /## Secrets of a cluster\n.*?```yaml\nrules:\n(.*?)```/s.exec(page)?.[1] ?? '';
    const rules = parse(documented);
    expect(rules).toHaveLength(1);
    expect(roles).toEqual([
      ['rotor-store-worker', 'vault', rules],
      ['rotor-store-orchestrator', 'vault', rules],
    ]);
    const tokens = ['orchestrator', 'worker'].map(
      (part) => the(objects, 'Deployment', part).spec.template.spec.automountServiceAccountToken,
    );
    expect(tokens).toEqual([true, true]);
  });

  test('strategies that no policy uses take their rights with them', async () => {
    const rights = async (strategies: object) =>
      rightsOf(the(await render({ values: { namespaces: [{ name: 'a' }], rbac: { strategies } } }), 'Role'));
    expect(await rights({ rolling: false, blueGreen: false })).toEqual({
      secrets: ['create', 'get', 'patch'],
    });
    const rolling = await rights({ blueGreen: false });
    expect(rolling.services).toBeUndefined();
    expect(rolling.deployments).toEqual(['get', 'patch']);
    expect(rolling.pods).toEqual(['list']);
  });

  test('finding consumers, and who else may read a Secret, takes what docs/consumers.md lists and nothing else', async () => {
    const rbac = {
      discovery: true,
      accessReview: true,
      strategies: { rolling: false, blueGreen: false },
    };
    const namespaces = [{ name: 'shop' }];
    const { secrets: _delivery, ...rights } = rightsOf(
      the(await render({ values: { namespaces, rbac } }), 'Role', '-worker'),
    );
    const documented = rightsIn('consumers.md', 'What the workers need besides');
    const { clusterroles, clusterrolebindings, ...inNamespaces } = documented;
    expect(Object.keys(inNamespaces)).toHaveLength(11);
    expect(rights).toEqual(inNamespaces);

    const reviewing = await render({ values: { namespaces, rbac: { ...rbac, clusterRoles: true } } });
    const everywhere = ofKind(reviewing, 'ClusterRole');
    expect(everywhere.map(({ metadata }) => metadata.name)).toEqual([
      'rotor-rotor-readers-worker',
      'rotor-rotor-readers-orchestrator',
    ]);
    for (const role of everywhere) expect(rightsOf(role)).toEqual({ clusterroles, clusterrolebindings });
  });

  test('the orchestrators have no right to any Secret, unless they shall plan', async () => {
    const namespaces = [{ name: 'shop' }];
    const watching = await render({
      values: { namespaces, watchNamespaces: ['shop'], rbac: { discovery: true } },
    });
    const own = watching.filter(
      ({ kind, subjects }) => kind === 'RoleBinding' && subjects[0].name.endsWith('-orchestrator'),
    );
    expect(own.map(({ roleRef }) => roleRef.name).sort()).toEqual(['rotor-orchestrator', 'rotor-watch']);
    for (const { roleRef } of own) {
      const rights = rightsOf(the(watching, 'Role', roleRef.name));
      expect(rights.secrets).toBeUndefined();
      for (const verbs of Object.values(rights)) expect(verbs).not.toContain('delete');
    }
    const planning = await render({ values: { namespaces, orchestrator: { plan: true } } });
    expect(rightsOf(the(planning, 'Role', '-orchestrator'))).toEqual(documentedRights(NEEDED));
  });

  test('what people and GitOps write into custom resources is only read', async () => {
    const objects = await render({ values: { watchNamespaces: ['shop'] } });
    expect(rightsOf(the(objects, 'Role', '-watch'))).toEqual({
      ...Object.fromEntries(
        ['rotationpolicies', 'providers', 'stores', 'runbooks'].flatMap((kind) => [
          [kind, ['get', 'list', 'watch']],
          [`${kind}/status`, ['patch']],
        ]),
      ),
      events: ['create'],
    });
    const page = readFileSync(join(DOCS, '..', 'custom-resources.md'), 'utf8');
    const written = page.split('## What the orchestrators need\n')[1]?.split('```')[1] ?? '';
    expect(rightsOf(parse(written.replace(/^yaml/, '')))).toEqual(rightsOf(the(objects, 'Role', '-watch')));
  });

  test('who may look at a namespace may look at its custom resources when that is asked for, and never write them', async () => {
    const roles = ofKind(await render({ values: { rbac: { aggregateToView: true } } }), 'ClusterRole');
    expect(roles.map(({ metadata }) => metadata.labels)).toEqual([
      expect.objectContaining({ 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }),
    ]);
    const kinds = ['rotationpolicies', 'providers', 'stores', 'runbooks'];
    const looking = Object.fromEntries(kinds.map((kind) => [kind, ['get', 'list', 'watch']]));
    for (const role of roles) expect(rightsOf(role)).toEqual(looking);
  });

  test('the whole cluster is reached only when it is asked for, by one role each', async () => {
    const values = { rbac: { clusterWide: true }, watchNamespaces: ['*'] };
    const objects = await render({ values });
    expect(ofKind(objects, 'Role')).toEqual([]);
    const roles = ofKind(objects, 'ClusterRole');
    // Names in the cluster are shared by all releases in it.
    expect(roles.map(({ metadata }) => metadata.name)).toEqual([
      'rotor-rotor-worker',
      'rotor-rotor-orchestrator',
    ]);
    for (const role of roles) {
      const verbs = Object.values(rightsOf(role)).flat();
      expect(verbs).not.toContain('*');
      expect(rightsOf(role).secrets ?? []).not.toContain('list');
    }
    expect(rightsOf(the(objects, 'ClusterRole', '-orchestrator')).secrets).toBeUndefined();
  });

  test('no role allows everything of anything', async () => {
    for (const { kind, rules } of await render({ everything: true }))
      if (kind === 'Role' || kind === 'ClusterRole') expect(JSON.stringify(rules)).not.toContain('"*"');
  });
});
