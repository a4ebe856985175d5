import { describe, expect, it } from 'vitest';
import type { Pod } from '../../sandbox/controllers/client/wire.ts';
import type { Lookup } from '../../sandbox/kubelet/configuration.ts';
import { type Container, refersTo, resolveEnvironment } from '../../sandbox/kubelet/environment.ts';
import { expand } from '../../sandbox/kubelet/expansion.ts';
import { contentOfVolume, type Volume } from '../../sandbox/kubelet/volume-content.ts';

const metadata = {
  name: 'web',
  namespace: 'shop',
  uid: 'u-1',
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
};
const pod: Pod = { metadata: { ...metadata, labels: { app: 'web' } }, spec: { containers: [] } };
const encoded = (text: string) => Buffer.from(text).toString('base64');
const lookup: Lookup = {
  secret: (name) =>
    name === 'login' ? { metadata, data: { user: encoded('ann'), password: encoded('s3cret') } } : undefined,
  configMap: (name) =>
    name === 'settings'
      ? { metadata, data: { mode: 'fast' }, binaryData: { raw: encoded('bytes') } }
      : undefined,
};
const address = { podIP: '127.0.0.1', nodeName: 'n1' };

it.each([
  ['$(A)', '1'],
  ['x-$(A)-$(A)', 'x-1-1'],
  ['$(B)', '$(B)'],
  ['$$(A)', '$(A)'],
  ['$A $ $$', '$A $ $'],
  ['$(toString)', '$(toString)'],
])('expands %s to %s', (text, expected) => {
  expect(expand(text, { A: '1' })).toBe(expected);
});

describe("a container's environment", () => {
  const resolve = (container: Partial<Container>) =>
    resolveEnvironment({ name: 'main', ...container }, pod, lookup, address);

  it.each<[string, Partial<Container>, Record<string, string>]>([
    ['plain values', { env: [{ name: 'A', value: '1' }] }, { A: '1' }],
    [
      'values made of others',
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '$(A)2' },
        ],
      },
      { A: '1', B: '12' },
    ],
    [
      'a key of a Secret',
      { env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 'login', key: 'password' } } }] },
      { P: 's3cret' },
    ],
    [
      'a key of a ConfigMap, also a binary one',
      { env: [{ name: 'R', valueFrom: { configMapKeyRef: { name: 'settings', key: 'raw' } } }] },
      { R: 'bytes' },
    ],
    [
      'everything of a Secret, overridden by what comes later',
      {
        envFrom: [{ secretRef: { name: 'login' }, prefix: 'DB_' }],
        env: [{ name: 'DB_user', value: 'bob' }],
      },
      { DB_user: 'bob', DB_password: 's3cret' },
    ],
    [
      'what is optional and missing is left out',
      {
        envFrom: [{ configMapRef: { name: 'none', optional: true } }],
        env: [
          { name: 'X', valueFrom: { secretKeyRef: { name: 'none', key: 'k', optional: true } } },
          { name: 'Y', valueFrom: { secretKeyRef: { name: 'login', key: 'k', optional: true } } },
        ],
      },
      {},
    ],
    [
      'fields of the pod',
      {
        env: [
          'metadata.name',
          'metadata.namespace',
          'metadata.uid',
          'status.podIP',
          "metadata.labels['app']",
        ].map((fieldPath, index) => ({ name: `F${index}`, valueFrom: { fieldRef: { fieldPath } } })),
      },
      { F0: 'web', F1: 'shop', F2: 'u-1', F3: '127.0.0.1', F4: 'web' },
    ],
  ])('%s', (_, container, expected) => {
    expect(resolve(container)).toEqual(expected);
  });

  it.each<[Partial<Container>, string]>([
    [{ envFrom: [{ secretRef: { name: 'none' } }] }, 'secret "none" not found'],
    [{ envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
    [
      { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'login', key: 'no' } } }] },
      "couldn't find key no in Secret shop/login",
    ],
  ])('%j is refused: %s', (container, message) => {
    expect(() => resolve(container)).toThrow(message);
  });
});

describe("a volume's files", () => {
  const files = (volume: Omit<Volume, 'name'>) => {
    const content = contentOfVolume({ name: 'v', ...volume }, pod, lookup, address);
    return (
      content &&
      Object.fromEntries([...content].map(([path, file]) => [path, [String(file.data), file.mode]]))
    );
  };
  it.each<[Omit<Volume, 'name'>, object | undefined]>([
    [{ secret: { secretName: 'login' } }, { user: ['ann', 0o644], password: ['s3cret', 0o644] }],
    [
      { secret: { secretName: 'login', defaultMode: 0o400, items: [{ key: 'password', path: 'a/b' }] } },
      { 'a/b': ['s3cret', 0o400] },
    ],
    [{ secret: { secretName: 'none', optional: true } }, {}],
    [{ configMap: { name: 'settings' } }, { mode: ['fast', 0o644], raw: ['bytes', 0o644] }],
    [
      {
        projected: {
          defaultMode: 0o440,
          sources: [
            { secret: { name: 'login', items: [{ key: 'user', path: 'user', mode: 0o400 }] } },
            { configMap: { name: 'settings', items: [{ key: 'mode', path: 'mode' }] } },
            { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
          ],
        },
      },
      { user: ['ann', 0o400], mode: ['fast', 0o440], labels: ['app="web"', 0o440] },
    ],
    [{ emptyDir: {} }, undefined],
  ])('of %j', (volume, expected) => {
    expect(files(volume)).toEqual(expected);
  });

  it.each<[Omit<Volume, 'name'>, string]>([
    [{ secret: { secretName: 'none' } }, 'secret "none" not found'],
    [
      { secret: { secretName: 'login', items: [{ key: 'no', path: 'no' }] } },
      'references non-existent secret key: no',
    ],
  ])('%j is refused: %s', (volume, message) => {
    expect(() => files(volume)).toThrow(message);
  });
});

it.each([
  [{ volumes: [{ name: 'v', secret: { secretName: 'a' } }] }, true],
  [{ volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'a' } }] } }] }, true],
  [{ volumes: [{ name: 'v', configMap: { name: 'a' } }] }, false],
  [{ containers: [{ name: 'm', envFrom: [{ secretRef: { name: 'a' } }] }] }, true],
  [
    {
      initContainers: [
        { name: 'm', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'a', key: 'k' } } }] },
      ],
    },
    true,
  ],
])('whether %j reads the Secret: %s', (spec, expected) => {
  expect(refersTo({ containers: [], ...spec }, 'secret', 'a')).toBe(expected);
});
