import { describe, expect, test } from 'vitest';
import type { WireObject } from '../../../core/kubernetes/collections.ts';
import { ConsumerIndex, type LogicalName } from './consumer-index.ts';
import { readerOf } from './kinds.ts';

const spec = (secret = 'db') => ({
  containers: [{ name: 'web', env: [{ valueFrom: { secretKeyRef: { name: secret } } }] }],
});
const template = (secret?: string) => ({ template: { spec: spec(secret) } });

function object(
  kind: string,
  name: string,
  more: object = {},
  namespace = 'shop',
): WireObject & { kind: string } {
  const { metadata, ...rest } = more as { metadata?: object };
  return { kind, metadata: { name, namespace, ...metadata }, ...rest };
}

const ownedBy = (kind: string, name: string, apiVersion = 'apps/v1') => ({
  metadata: { ownerReferences: [{ apiVersion, kind, name, controller: true }] },
});

const GROUPS: Readonly<Record<string, string>> = {
  Pod: 'v1',
  CronJob: 'batch/v1',
  Job: 'batch/v1',
  Rollout: 'argoproj.io/v1alpha1',
};

function indexOf(objects: readonly (WireObject & { kind: string })[], logicalName?: LogicalName) {
  const index = new ConsumerIndex(logicalName);
  for (const each of objects) index.change(undefined, read(each));
  return index;
}

const read = (each: WireObject & { kind: string }) =>
  readerOf(GROUPS[each.kind] ?? 'apps/v1', each.kind, each);

const names = (index: ConsumerIndex, secret = 'db', namespace = 'shop') =>
  index.consumersOf(namespace, secret).map(({ kind, name, pods }) => `${kind} ${name} (${pods.length})`);

describe('each kind of workload is found by its own name', () => {
  test.each<[string, readonly (WireObject & { kind: string })[], readonly string[]]>([
    [
      'a Deployment, without pods too',
      [object('Deployment', 'web', { spec: template() })],
      ['Deployment web (0)'],
    ],
    [
      'a Deployment with the pods of its ReplicaSets, whose old ones say nothing',
      [
        object('Deployment', 'web', { spec: template() }),
        object('ReplicaSet', 'web-1', { ...ownedBy('Deployment', 'web'), spec: template() }),
        object('ReplicaSet', 'web-2', { ...ownedBy('Deployment', 'web'), spec: template() }),
        object('Pod', 'web-2-a', { ...ownedBy('ReplicaSet', 'web-2'), spec: spec() }),
        object('Pod', 'web-2-b', { ...ownedBy('ReplicaSet', 'web-2'), spec: spec() }),
      ],
      ['Deployment web (2)'],
    ],
    [
      'a Deployment whose template says nothing, but whose pods were given the Secret by a webhook',
      [
        object('Deployment', 'web', { spec: template('other') }),
        object('ReplicaSet', 'web-1', { ...ownedBy('Deployment', 'web'), spec: template('other') }),
        object('Pod', 'web-1-a', { ...ownedBy('ReplicaSet', 'web-1'), spec: spec() }),
      ],
      ['Deployment web (1)'],
    ],
    [
      'StatefulSet and DaemonSet',
      [
        object('StatefulSet', 'queue', { spec: template() }),
        object('Pod', 'queue-0', { ...ownedBy('StatefulSet', 'queue'), spec: spec() }),
        object('DaemonSet', 'agent', { spec: template() }),
      ],
      ['DaemonSet agent (0)', 'StatefulSet queue (1)'],
    ],
    [
      'a CronJob, and the Job of it that runs now; Jobs and pods that have ended read nothing any more',
      [
        object('CronJob', 'nightly', { spec: { jobTemplate: { spec: template() } } }),
        object('Job', 'nightly-1', { ...ownedBy('CronJob', 'nightly', 'batch/v1'), spec: template() }),
        object('Pod', 'nightly-1-a', { ...ownedBy('Job', 'nightly-1', 'batch/v1'), spec: spec() }),
        object('Pod', 'nightly-1-b', {
          ...ownedBy('Job', 'nightly-1', 'batch/v1'),
          spec: spec(),
          status: { phase: 'Failed' },
        }),
        object('Job', 'nightly-0', {
          spec: template(),
          status: { conditions: [{ type: 'Complete', status: 'True' }] },
        }),
      ],
      ['CronJob nightly (0)', 'Job nightly-1 (1)'],
    ],
    ['a bare ReplicaSet', [object('ReplicaSet', 'bare', { spec: template() })], ['ReplicaSet bare (0)']],
    ['a bare Pod', [object('Pod', 'bare', { spec: spec() })], ['Pod bare (1)']],
    [
      'an Argo Rollout',
      [
        object('Rollout', 'canary', { spec: template() }),
        object('ReplicaSet', 'canary-1', {
          ...ownedBy('Rollout', 'canary', 'argoproj.io/v1alpha1'),
          spec: template(),
        }),
        object('Pod', 'canary-1-a', { ...ownedBy('ReplicaSet', 'canary-1'), spec: spec() }),
      ],
      ['Rollout canary (1)'],
    ],
    [
      'an Argo Rollout that takes the template of a Deployment: both are one',
      [
        object('Deployment', 'web', { spec: template() }),
        object('Rollout', 'web', {
          spec: { workloadRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
        }),
      ],
      ['Rollout web (0)'],
    ],
    [
      'pods of an operator that Rotor does not know, by that operator',
      [
        object('Pod', 'kafka-0', {
          ...ownedBy('StrimziPodSet', 'kafka', 'core.strimzi.io/v1'),
          spec: spec(),
        }),
      ],
      ['StrimziPodSet kafka (1)'],
    ],
  ])('%s', (_what, objects, expected) => {
    expect(names(indexOf(objects))).toEqual(expected);
    // In whatever order informers bring them.
    expect(names(indexOf([...objects].reverse()))).toEqual(expected);
  });
});

test('other Secrets, and the same name in another namespace, are not meant', () => {
  const index = indexOf([
    object('Deployment', 'web', { spec: template() }),
    object('Deployment', 'web', { spec: template() }, 'other'),
    object('Deployment', 'mail', { spec: template('smtp') }),
  ]);
  expect(names(index)).toEqual(['Deployment web (0)']);
  expect(names(index, 'db', 'other')).toEqual(['Deployment web (0)']);
  expect(names(index, 'nothing')).toEqual([]);
});

test('what changes and goes is followed, and leaves nothing behind', () => {
  const before = object('Deployment', 'web', { spec: template() });
  const after = object('Deployment', 'web', { spec: template('renamed') });
  const index = indexOf([before]);
  index.change(read(before), read(after));
  expect(names(index)).toEqual([]);
  expect(names(index, 'renamed')).toEqual(['Deployment web (0)']);
  index.change(read(after), undefined);
  expect(names(index, 'renamed')).toEqual([]);
  expect(index.size).toBe(0);
});

test('a workload that an operator made is found with the operator', () => {
  const index = indexOf([
    object('StatefulSet', 'pg', { ...ownedBy('PostgresCluster', 'pg', 'example.com/v1'), spec: template() }),
  ]);
  expect(index.consumersOf('shop', 'db')[0]).toMatchObject({
    kind: 'StatefulSet',
    managedBy: { kind: 'PostgresCluster', name: 'pg' },
  });
});

test('a Secret per version is found by its logical name and by its own', () => {
  const index = indexOf(
    [
      object('Deployment', 'web', { spec: template('db-9f2c') }),
      object('Pod', 'old', { spec: spec('db-11aa') }),
      object('Deployment', 'plain', { spec: template('db') }),
    ],
    (_namespace, name) => name.replace(/-[0-9a-f]{4}$/, ''),
  );
  expect(names(index)).toEqual(['Pod old (1)', 'Deployment plain (0)', 'Deployment web (0)']);
  expect(names(index, 'db-9f2c')).toEqual(['Deployment web (0)']);
});
