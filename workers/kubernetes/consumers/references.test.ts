import { expect, test } from 'vitest';
import { needsRestart, type PodSpec, referencesOf } from './references.ts';

const env = (name: string) => [{ valueFrom: { secretKeyRef: { name } } }];

test.each<[string, PodSpec, readonly [secret: string, by: string, where: string][]]>([
  ['env of a container', { containers: [{ name: 'web', env: env('db') }] }, [['db', 'env', 'container web']]],
  [
    'two variables of one Secret once',
    { containers: [{ name: 'web', env: [...env('db'), ...env('db')] }] },
    [['db', 'env', 'container web']],
  ],
  [
    'envFrom, of an init container',
    { initContainers: [{ name: 'migrate', envFrom: [{ secretRef: { name: 'db' } }] }] },
    [['db', 'envFrom', 'init container migrate']],
  ],
  [
    'a volume that is mounted whole',
    {
      containers: [{ name: 'web', volumeMounts: [{ name: 'v' }] }],
      volumes: [{ name: 'v', secret: { secretName: 'db' } }],
    },
    [['db', 'volume', 'volume v']],
  ],
  [
    'a volume of which only sub-paths are mounted',
    {
      containers: [{ name: 'web', volumeMounts: [{ name: 'v', subPath: 'password' }] }],
      volumes: [{ name: 'v', secret: { secretName: 'db' } }],
    },
    [['db', 'subPath', 'container web']],
  ],
  [
    'a volume mounted whole by one container and by sub-path by another',
    {
      containers: [
        { name: 'web', volumeMounts: [{ name: 'v' }] },
        { name: 'side', volumeMounts: [{ name: 'v', subPathExpr: '$(KEY)' }] },
      ],
      volumes: [{ name: 'v', secret: { secretName: 'db' } }],
    },
    [
      ['db', 'subPath', 'container side'],
      ['db', 'volume', 'volume v'],
    ],
  ],
  [
    'a volume that nobody mounts: the pod does not start without it',
    { volumes: [{ name: 'v', secret: { secretName: 'db' } }] },
    [['db', 'volume', 'volume v']],
  ],
  [
    'a projected volume with several sources',
    {
      volumes: [
        { name: 'v', projected: { sources: [{ secret: { name: 'db' } }, {}, { secret: { name: 'tls' } }] } },
      ],
    },
    [
      ['db', 'volume', 'volume v'],
      ['tls', 'volume', 'volume v'],
    ],
  ],
  [
    'a volume driver',
    {
      volumes: [
        { name: 'v', csi: { nodePublishSecretRef: { name: 'vault' } } },
        { name: 'w', azureFile: { secretName: 'share' } },
        { name: 'x', cephfs: { secretRef: { name: 'ceph' } } },
        { name: 'y', emptyDir: {} },
        { name: 'z', configMap: { name: 'db' } },
      ],
    },
    [
      ['vault', 'mount', 'volume v'],
      ['share', 'mount', 'volume w'],
      ['ceph', 'mount', 'volume x'],
    ],
  ],
  ['an imagePullSecret', { imagePullSecrets: [{ name: 'registry' }] }, [['registry', 'imagePullSecret', '']]],
  ['nothing', { containers: [{ name: 'web' }] }, []],
])('%s', (_what, spec, expected) => {
  expect(referencesOf(spec).map(({ secret, by, where }) => [secret, by, where])).toEqual(expected);
});

test('only who reads a Secret to pull images needs no restart', () => {
  expect(needsRestart([{ by: 'imagePullSecret' }])).toBe(false);
  expect(needsRestart([])).toBe(false);
  for (const by of ['env', 'envFrom', 'volume', 'subPath', 'mount'] as const)
    expect(needsRestart([{ by: 'imagePullSecret' }, { by }])).toBe(true);
});
