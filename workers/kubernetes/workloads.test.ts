import { describe, expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { obstacleOf, progressOf, selectorOf, versionAnnotation } from './workloads.ts';

const deployment = (status: object, spec: object = {}, generation = 2): ClusterObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop', generation },
  spec: { replicas: 3, ...spec },
  status: { observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3, ...status },
});

describe('a deployment', () => {
  test.each<[string, ClusterObject, string, RegExp | undefined]>([
    ['all new, all available', deployment({}), 'done', undefined],
    ['not seen by its controller', deployment({}, {}, 3), 'moving', /not seen/],
    ['one pod new', deployment({ updatedReplicas: 1 }), 'moving', /1 of 3 pods are new/],
    ['an old pod left', deployment({ replicas: 4 }), 'moving', /1 old pods/],
    [
      'a new pod not available',
      deployment({ availableReplicas: 2 }),
      'moving',
      /2 of 3 new pods are available/,
    ],
    [
      'no progress within its deadline',
      deployment({
        updatedReplicas: 1,
        conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
      }),
      'stuck',
      /no progress/,
    ],
    [
      'scaled to nothing',
      deployment({ replicas: 0, updatedReplicas: 0, availableReplicas: 0 }, { replicas: 0 }),
      'done',
      undefined,
    ],
    ['no status yet', { ...deployment({}), status: {} }, 'moving', /not seen/],
  ])('%s', (_what, workload, state, detail) => {
    const progress = progressOf(workload);
    expect(progress.state).toBe(state);
    if (detail) expect('detail' in progress && progress.detail).toMatch(detail);
  });
});

test.each<[string, object, object, string]>([
  ['all new', { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 }, {}, 'done'],
  ['one old', { desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2 }, {}, 'moving'],
  [
    'one not available',
    { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 },
    {},
    'moving',
  ],
  ['replaced by hand only', { desiredNumberScheduled: 2 }, { updateStrategy: { type: 'OnDelete' } }, 'stuck'],
])('a daemon set, %s', (_what, status, spec, state) => {
  const workload = {
    kind: 'DaemonSet',
    metadata: { generation: 1 },
    spec,
    status: { observedGeneration: 1, ...status },
  };
  expect(progressOf(workload).state).toBe(state);
});

test('a Deployment that somebody has paused in the middle says so', () => {
  const paused = deployment({ updatedReplicas: 0 });
  expect(progressOf({ ...paused, spec: { ...paused.spec, paused: true } })).toMatchObject({
    state: 'moving',
    detail: expect.stringMatching(/^0 of \d+ pods are new; it is paused/),
  });
});

test('a stateful set is done when its current revision is the updated one', () => {
  const status = {
    observedGeneration: 1,
    replicas: 1,
    updatedReplicas: 1,
    availableReplicas: 1,
    updateRevision: 'b',
  };
  const set = (currentRevision: string) => ({
    kind: 'StatefulSet',
    metadata: { generation: 1 },
    spec: { replicas: 1 },
    status: { ...status, currentRevision },
  });
  expect(progressOf(set('a')).state).toBe('moving');
  expect(progressOf(set('b')).state).toBe('done');
});

test('what can never become new is refused beforehand', () => {
  expect(obstacleOf(deployment({}))).toBeUndefined();
  expect(obstacleOf(deployment({}, { paused: true }))).toMatch(/paused/);
  expect(obstacleOf(deployment({ availableReplicas: 1 }))).toMatch(/1 of 3/);
  const set = { ...deployment({}), kind: 'StatefulSet' };
  const partition = { updateStrategy: { rollingUpdate: { partition: 1 } } };
  expect(obstacleOf({ ...set, spec: { replicas: 3, ...partition } })).toMatch(/partition/);
});

test('the annotation fits into 63 characters, and two long names differ', () => {
  expect(versionAnnotation('orders-db')).toBe('secret.rotor.dev/orders-db');
  const [one, other] = ['a', 'b'].map((last) => versionAnnotation(`${'x'.repeat(200)}${last}`));
  expect(one).not.toBe(other);
  expect((one ?? '').length).toBeLessThanOrEqual('secret.rotor.dev/'.length + 63);
});

test('a selector is written as the API takes it', () => {
  const selector = {
    matchLabels: { app: 'web', tier: 'front' },
    matchExpressions: [
      { key: 'env', operator: 'In', values: ['a', 'b'] },
      { key: 'env', operator: 'NotIn', values: ['c'] },
      { key: 'x', operator: 'Exists' },
      { key: 'y', operator: 'DoesNotExist' },
    ],
  };
  expect(selectorOf({ spec: { selector } })).toBe('app=web,tier=front,env in (a,b),env notin (c),x,!y');
});
