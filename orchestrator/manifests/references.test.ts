import { expect, test } from 'vitest';
import type { Manifest, PolicyManifest, PolicySpec } from './manifest.ts';
import { checkReferences } from './references.ts';

function policy(name: string, changes: Partial<PolicySpec> = {}): PolicyManifest {
  const spec: PolicySpec = {
    provider: 'main',
    credential: { kind: 'postgres', spec: {} },
    store: { name: 'local', path: name },
    deliver: [],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1, onTimeout: 'roll-back' },
    deadlineMs: 1,
    suspend: false,
    ...changes,
  };
  return { ...head(name), kind: 'RotationPolicy', spec };
}

function head(name: string, namespace = 'default') {
  return { name, namespace, labels: {}, annotations: {}, source: { file: 'a.yaml', line: 3 } };
}

const store: Manifest = { ...head('local'), kind: 'Store', spec: { kind: 'local', spec: {} } };
const provider: Manifest = { ...head('main'), kind: 'Provider', spec: { kind: 'postgres', spec: {} } };

test('a set that is complete in itself is fine', () => {
  expect(() =>
    checkReferences([policy('a', { apart: { from: ['b'], atLeastMs: 1 } }), policy('b'), store, provider]),
  ).not.toThrow();
});

test('what was applied before counts', () => {
  expect(() => checkReferences([policy('a')], [store, provider])).not.toThrow();
});

test.each<[string, readonly Manifest[], string]>([
  [
    'a missing provider',
    [policy('a'), store],
    'a.yaml:3:1: spec.provider: there is no Provider default/main',
  ],
  [
    'a misspelt provider',
    [policy('a', { provider: 'mian' }), store, provider],
    'a.yaml:3:1: spec.provider: there is no Provider default/mian; did you mean "main"?',
  ],
  [
    'a provider elsewhere',
    [policy('a'), store, { ...provider, namespace: 'ops' }],
    'a.yaml:3:1: spec.provider: there is no Provider default/main; there is one in namespace ops, but references stay within a namespace',
  ],
  [
    'a provider of another kind',
    [policy('a'), store, { ...head('main'), kind: 'Provider', spec: { kind: 'mysql', spec: {} } }],
    'a.yaml:3:1: spec.provider: is a provider for mysql, but the credential is postgres',
  ],
  [
    'a missing store',
    [policy('a'), provider],
    'a.yaml:3:1: spec.store.name: there is no Store default/local',
  ],
  [
    'a policy apart from itself',
    [policy('a', { apart: { from: ['a'], atLeastMs: 1 } }), store, provider],
    'a.yaml:3:1: spec.apart.from[0]: is this policy itself',
  ],
  [
    'a policy apart from nobody',
    [policy('a', { apart: { from: ['zebra'], atLeastMs: 1 } }), store, provider],
    'a.yaml:3:1: spec.apart.from[0]: there is no RotationPolicy default/zebra',
  ],
])('%s is reported', (_, manifests, expected) => {
  expect(() => checkReferences(manifests)).toThrow(
    expect.objectContaining({ code: 'manifest.invalid', message: expected }),
  );
});
