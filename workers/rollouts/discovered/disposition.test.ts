import { expect, test } from 'vitest';
import type { Consumer } from '../../kubernetes/consumers/consumer-index.ts';
import { dispositionOf, movesOf } from './disposition.ts';

function consumer(apiVersion: string, kind: string, more: Partial<Consumer> = {}): Consumer {
  const references = [{ secret: 'db', by: 'env' as const, where: 'container web' }];
  return {
    ...{
      apiVersion,
      kind,
      namespace: 'shop',
      name: 'x',
      references,
      pods: [],
      managedBy: undefined,
      labels: {},
    },
    ...more,
  };
}

const pods = [{ name: 'x-1', createdAt: undefined }];
const pulls = [{ secret: 'db', by: 'imagePullSecret' as const, where: '' }];

test.each<[string, Consumer, string | undefined]>([
  ['a Deployment', consumer('apps/v1', 'Deployment'), 'rolling'],
  ['a StatefulSet', consumer('apps/v1', 'StatefulSet'), 'rolling'],
  ['a DaemonSet', consumer('apps/v1', 'DaemonSet'), 'rolling'],
  ['an Argo Rollout', consumer('argoproj.io/v1alpha1', 'Rollout'), 'argoRollouts'],
  ['a CronJob', consumer('batch/v1', 'CronJob'), 'its next run'],
  ['a Job', consumer('batch/v1', 'Job', { pods }), 'waits until it ends'],
  ['a bare ReplicaSet without pods', consumer('apps/v1', 'ReplicaSet'), 'its next run'],
  [
    'a bare ReplicaSet',
    consumer('apps/v1', 'ReplicaSet', { pods }),
    'refused: no controller replaces the pods of a bare ReplicaSet',
  ],
  ['a bare Pod', consumer('v1', 'Pod', { pods }), 'refused: nobody replaces a bare pod'],
  [
    'another Deployment than that of apps',
    consumer('example.com/v1', 'Deployment', { pods }),
    "refused: Rotor can't roll the pods of a Deployment",
  ],
  [
    'who only pulls images',
    consumer('v1', 'Pod', { pods, references: pulls }),
    'nothing to do: read when an image is pulled, never by the program',
  ],
  [
    'a twin that Rotor made',
    consumer('apps/v1', 'Deployment', { labels: { 'rotor.dev/twin-of': 'web' } }),
    undefined,
  ],
])('%s', (_what, found, expected) => {
  const disposition = dispositionOf(found, []);
  expect(disposition && movesOf(disposition)).toBe(expected);
});

test('an exclusion means its kind, its name and its namespace, or all namespaces when it names none', () => {
  const exclude = { kind: 'Pod', name: 'x', acknowledged: true as const, reason: 'a shell' };
  const of = (more: Partial<Consumer>, by: object = {}) =>
    dispositionOf(consumer('v1', 'Pod', { pods, ...more }), [{ ...exclude, ...by }])?.do;
  expect(of({})).toBe('acknowledged');
  expect(of({}, { namespace: 'shop' })).toBe('acknowledged');
  expect(of({}, { namespace: 'other' })).toBe('refuse');
  expect(of({ name: 'y' })).toBe('refuse');
  expect(of({ kind: 'Job', apiVersion: 'batch/v1' })).toBe('wait-for-end');
});
