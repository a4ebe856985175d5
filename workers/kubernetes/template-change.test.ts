import { expect, test } from 'vitest';
import type { ClusterObject, JsonOperation } from '../../core/kubernetes/cluster.ts';
import { versionedName } from './secret-names.ts';
import { secretReferences } from './secret-references.ts';
import { backwardChange, forwardChange, podSpecReading, type TemplateChange } from './template-change.ts';

const NOTE = 'secret.rotor.dev/db';
const held = (version: string) => ({ logical: 'db', name: versionedName('db', version) });
const stable = { logical: 'db', name: 'db' };

function workload(names: readonly string[]): ClusterObject {
  const env = names.map((name, index) => ({
    name: `V${index}`,
    valueFrom: { secretKeyRef: { name, key: 'k' } },
  }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', resourceVersion: '7' },
    spec: { template: { spec: { containers: [{ name: 'web', env }] } } },
  };
}

/** As the API server applies them. */
function applied(object: ClusterObject, change: TemplateChange): ClusterObject {
  if ('refused' in change) throw new Error(change.refused);
  const copy = structuredClone(object);
  for (const operation of change.operations) perform(copy, operation);
  return copy;
}

function perform(object: ClusterObject, operation: JsonOperation): void {
  const path = operation.path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = path.pop() ?? '';
  const parent = path.reduce<Record<string, unknown>>((node, step) => {
    expect(node, operation.path).toHaveProperty([step]);
    return node[step] as Record<string, unknown>;
  }, object as never);
  if (operation.op !== 'add') expect(parent, operation.path).toHaveProperty([last]);
  if (operation.op === 'remove') delete parent[last];
  else parent[last] = operation.value;
}

const namesOf = (object: ClusterObject) =>
  secretReferences(object.spec.template.spec).map(({ name }) => name);
const noteOf = (object: ClusterObject) => object.spec.template.metadata?.annotations?.[NOTE];

test.each([
  { title: 'one name', names: ['db', 'db', 'other'] },
  { title: 'a version of its own', names: [versionedName('db', 'v0'), 'other'] },
  { title: 'different names in different places', names: ['db', versionedName('db', 'v0'), 'other'] },
])('forward and back gives the very template of before: $title', ({ names }) => {
  const before = workload(names);
  const moved = applied(
    before,
    forwardChange(before, { annotation: NOTE, versionId: 'v1', secret: held('v1') }),
  );
  expect(noteOf(moved)).toBe('v1');
  expect(namesOf(moved)).toEqual(names.map((name) => (name === 'other' ? name : held('v1').name)));
  const back = applied(moved, backwardChange(moved, NOTE, 'v0', 'db'));
  expect(namesOf(back)).toEqual(names);
  expect(noteOf(back)).toBeUndefined();
});

test('a repeat changes nothing, forward or back', () => {
  const before = workload(['db']);
  const moved = applied(
    before,
    forwardChange(before, { annotation: NOTE, versionId: 'v1', secret: held('v1') }),
  );
  expect(forwardChange(moved, { annotation: NOTE, versionId: 'v1', secret: held('v1') })).toEqual({
    wanted: 'v1',
    operations: [],
  });
  const back = applied(moved, backwardChange(moved, NOTE, 'v0', 'db'));
  expect(backwardChange(back, NOTE, 'v0', 'db')).toEqual({ wanted: undefined, operations: [] });
});

test('names that somebody has put back are set again, without forgetting what was before', () => {
  const before = workload([versionedName('db', 'v0')]);
  const moved = applied(
    before,
    forwardChange(before, { annotation: NOTE, versionId: 'v1', secret: held('v1') }),
  );
  moved.spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name = 'db';
  const again = applied(
    moved,
    forwardChange(moved, { annotation: NOTE, versionId: 'v1', secret: held('v1') }),
  );
  expect(namesOf(again)).toEqual([held('v1').name]);
  expect(namesOf(applied(again, backwardChange(again, NOTE, 'v0', 'db')))).toEqual([
    versionedName('db', 'v0'),
  ]);
});

test('what an earlier rotation noted is not taken for what this one found', () => {
  let now = workload(['db']);
  now = applied(now, forwardChange(now, { annotation: NOTE, versionId: 'v1', secret: held('v1') }));
  now = applied(now, forwardChange(now, { annotation: NOTE, versionId: 'v2', secret: held('v2') }));
  const back = applied(now, backwardChange(now, NOTE, 'v1', 'db'));
  expect([namesOf(back), noteOf(back)]).toEqual([[held('v1').name], 'v1']);
  // Under the stable style no name changes, and none may be remembered.
  const settled = applied(back, forwardChange(back, { annotation: NOTE, versionId: 'v3', secret: stable }));
  const next = applied(
    settled,
    forwardChange(settled, { annotation: NOTE, versionId: 'v4', secret: stable }),
  );
  expect(namesOf(applied(next, backwardChange(next, NOTE, 'v3', 'db')))).toEqual(['db']);
});

test('under the stable style the template gets the version and nothing else', () => {
  const change = forwardChange(workload(['db']), { annotation: NOTE, versionId: 'v1', secret: stable });
  const paths = 'operations' in change ? change.operations.map(({ path }) => path) : [];
  expect(paths.filter((path) => path.startsWith('/spec/template/spec'))).toEqual([]);
});

test('a workload that never took a version is left alone on the way back', () => {
  expect(backwardChange(workload(['db']), NOTE, 'v0', 'db')).toEqual({ wanted: undefined, operations: [] });
});

test('every write is bound to the object that was looked at', () => {
  const change = forwardChange(workload(['db']), { annotation: NOTE, versionId: 'v1', secret: held('v1') });
  expect('operations' in change && change.operations[0]).toEqual({
    op: 'replace',
    path: '/metadata/resourceVersion',
    value: '7',
  });
});

test('a template that does not name the Secret is refused when each version has a name of its own', () => {
  const refused = forwardChange(workload(['other']), {
    annotation: NOTE,
    versionId: 'v1',
    secret: held('v1'),
  });
  expect(refused).toMatchObject({ refused: expect.stringContaining('names secret db') });
  expect(() => podSpecReading({ containers: [] }, held('v1'))).toThrow('names secret db');
  expect(
    forwardChange(workload(['other']), { annotation: NOTE, versionId: 'v1', secret: stable }),
  ).toMatchObject({ wanted: 'v1' });
});
