import { describe, expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { lastProgressMs } from './last-progress.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 1, 12, 0, seconds));
const workload = (...managedFields: object[]): ClusterObject => ({ metadata: { name: 'db', managedFields } });
const given = (seconds: number) => ({ manager: 'rotor', operation: 'Update', time: at(seconds) });
const pod = (created: number, ready?: number, status = 'True'): ClusterObject => ({
  metadata: { creationTimestamp: at(created) },
  status: {
    conditions: ready === undefined ? [] : [{ type: 'Ready', status, lastTransitionTime: at(ready) }],
  },
});

describe('a workload came last closer to its template', () => {
  test.each<[string, ClusterObject, ClusterObject[], number | undefined]>([
    ['when the template was given, while it has no new pod', workload(given(5)), [], 5],
    ['when its newest pod was made', workload(given(5)), [pod(7), pod(9)], 9],
    ['when a pod became ready', workload(given(5)), [pod(7, 20), pod(9)], 20],
    ['not when a pod stopped being ready', workload(given(5)), [pod(7, 20, 'False')], 7],
    ['not when a pod of an earlier time did', workload(given(5)), [pod(1, 2)], 5],
    [
      'not when others wrote to it',
      workload(
        given(5),
        { manager: 'kubectl', time: at(50) },
        { manager: 'rotor', subresource: 'status', time: at(60) },
      ),
      [],
      5,
    ],
    [
      'at no known time, when the template is not of Rotor',
      workload({ manager: 'kubectl', time: at(5) }),
      [pod(9)],
      undefined,
    ],
    [
      'with the times of custom resources, which are text',
      workload({ manager: 'rotor', time: at(3).toISOString() }),
      [],
      3,
    ],
  ])('%s', (_, object, pods, seconds) => {
    expect(lastProgressMs(object, pods)).toBe(seconds === undefined ? undefined : at(seconds).getTime());
  });
});
