import { expect, test } from 'vitest';
import { readingsOf } from './reads-secret.ts';

const workload = (pod: object) => ({ kind: 'Deployment', spec: { template: { spec: pod } } });
const mounting = (mount: object, volume: object) => ({
  volumes: [{ name: 'v', ...volume }],
  containers: [{ name: 'web', volumeMounts: [{ name: 'v', mountPath: '/etc/db', ...mount }] }],
});
const web = (container: object) => ({ containers: [{ name: 'web', ...container }] });

test.each<[string, object, readonly string[]]>([
  [
    'a variable',
    web({ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'db', key: 'a' } } }] }),
    ['web env'],
  ],
  ['all its keys as variables', web({ envFrom: [{ secretRef: { name: 'db' } }] }), ['web env']],
  ['a volume', mounting({}, { secret: { secretName: 'db' } }), ['web volume']],
  [
    'a projected volume',
    mounting({}, { projected: { sources: [{ secret: { name: 'db' } }] } }),
    ['web volume'],
  ],
  ['one file of a volume', mounting({ subPath: 'a' }, { secret: { secretName: 'db' } }), ['web subPath']],
  [
    'one file by an expression',
    mounting({ subPathExpr: '$(A)' }, { secret: { secretName: 'db' } }),
    ['web subPath'],
  ],
  [
    'an init container',
    {
      initContainers: [{ name: 'init', envFrom: [{ secretRef: { name: 'db' } }] }],
      containers: [{ name: 'web' }],
    },
    ['init env'],
  ],
  ['not another Secret', web({ envFrom: [{ secretRef: { name: 'db2' } }] }), []],
  ['not a ConfigMap of the same name', web({ envFrom: [{ configMapRef: { name: 'db' } }] }), []],
  [
    'not a volume that nobody mounts',
    { volumes: [{ name: 'v', secret: { secretName: 'db' } }], containers: [{ name: 'web' }] },
    [],
  ],
])('pods read a Secret by %s', (_, pod, readings) => {
  expect(readingsOf(workload(pod), 'db').map(({ container, by }) => `${container} ${by}`)).toEqual(readings);
});
