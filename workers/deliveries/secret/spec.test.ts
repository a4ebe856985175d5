import { expect, test } from 'vitest';
import { secretSpec } from './spec.ts';

const parse = (spec: object) => secretSpec.safeParse({ name: 'db', namespaces: ['shop'], ...spec });

test.each<[string, object, string, string]>([
  [
    'tls without its key',
    { type: 'kubernetes.io/tls', data: { 'tls.crt': '{{certificate}}' } },
    'data',
    'tls.key',
  ],
  ['tls without any template', { type: 'kubernetes.io/tls' }, 'data', 'tls.crt'],
  ['ssh-auth', { type: 'kubernetes.io/ssh-auth', data: { key: '{{privateKey}}' } }, 'data', 'ssh-privatekey'],
  ['dockerconfigjson', { type: 'kubernetes.io/dockerconfigjson', data: {} }, 'data', '.dockerconfigjson'],
  ['dockercfg', { type: 'kubernetes.io/dockercfg', data: {} }, 'data', '.dockercfg'],
  [
    'basic-auth with neither name nor password',
    { type: 'kubernetes.io/basic-auth', data: { user: '{{username}}' } },
    'data',
    '"username" or "password"',
  ],
  [
    'a type that the cluster keeps for itself',
    { type: 'kubernetes.io/service-account-token' },
    'type',
    'Opaque',
  ],
  ['a key that is no file name', { data: { 'a/b': '{{password}}' } }, 'data.a/b', 'letters, digits'],
  ['a broken template in a label', { labels: { team: '{{username' } }, 'labels.team', 'has no "}}"'],
  ['a label that no cluster takes', { labels: { team: 'web shop' } }, 'labels.team', 'letters, digits'],
  [
    'a name of an annotation that no cluster takes',
    { annotations: { 'a b': 'c' } },
    'annotations.a b',
    'DNS name',
  ],
  ['a label of ours', { labels: { 'rotor.dev/version': 'x' } }, 'labels', 'Rotor does'],
  ['adopting what is made anew', { style: 'versioned', adopt: true }, 'adopt', 'makes every Secret anew'],
])('%s is refused where it stands', (_what, spec, path, told) => {
  const issues = parse(spec).error?.issues ?? [];
  const found = issues.map((issue) => `${issue.path.join('.')}: ${JSON.stringify(issue)}`).join('\n');
  expect(issues.map((issue) => issue.path.join('.'))).toContain(path);
  expect(found).toContain(JSON.stringify(told).slice(1, -1));
});

test.each<[string, object]>([
  [
    'basic-auth with a password alone',
    { type: 'kubernetes.io/basic-auth', data: { password: '{{password}}' } },
  ],
  ['basic-auth under the names of the fields', { type: 'kubernetes.io/basic-auth' }],
  ['a label with a public field', { labels: { 'shop.example/user': '{{username}}' } }],
  ['an annotation with any text', { annotations: { 'shop.example/note': 'a b: "{{username}}"' } }],
])('%s is fine', (_what, spec) => {
  expect(parse(spec).error?.issues ?? []).toEqual([]);
});
