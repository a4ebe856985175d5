import { describe, expect, it } from 'vitest';
import { type DaemonPod, planDaemonSet } from '../../sandbox/controllers/daemon-set-decision.ts';
import { decideBudget } from '../../sandbox/controllers/disruption-budget-decision.ts';
import { decideJob } from '../../sandbox/controllers/job-decision.ts';
import {
  type OrdinalFacts,
  planStatefulSet,
  type StatefulFacts,
} from '../../sandbox/controllers/stateful-set-decision.ts';

const pod = (ordinal: number, overrides: Partial<OrdinalFacts> = {}): OrdinalFacts => ({
  ordinal,
  revision: 'new',
  ready: true,
  available: true,
  terminating: false,
  over: false,
  ...overrides,
});
const stale = { revision: 'old' };
const unwell = { ready: false, available: false };

describe('a StatefulSet', () => {
  const plan = (pods: readonly OrdinalFacts[], overrides: Partial<StatefulFacts> = {}) => {
    const { create, remove } = planStatefulSet({
      replicas: 3,
      start: 0,
      parallel: false,
      onDelete: false,
      partition: 0,
      currentRevision: 'old',
      updateRevision: 'new',
      pods,
      ...overrides,
    });
    return [
      ...create.map(({ ordinal, revision }) => `+${ordinal}@${revision}`),
      ...remove.map((n) => `-${n}`),
    ];
  };

  it.each([
    ['begins with the lowest ordinal', [], {}, ['+0@new']],
    ['waits for it', [pod(0, unwell)], {}, []],
    ['then goes on', [pod(0)], {}, ['+1@new']],
    ['makes all at once when parallel', [], { parallel: true }, ['+0@new', '+1@new', '+2@new']],
    ['fills a gap', [pod(0), pod(2)], {}, ['+1@new']],
    ['replaces a pod that ended', [pod(0, { ...unwell, over: true })], {}, ['-0']],
    ['updates from the highest down', [pod(0, stale), pod(1, stale), pod(2, stale)], {}, ['-2']],
    ['waits for the updated pod', [pod(0, stale), pod(1, stale), pod(2, unwell)], {}, []],
    ['then updates the next', [pod(0, stale), pod(1, stale), pod(2)], {}, ['-1']],
    ['stops at the partition', [pod(0, stale), pod(1, stale), pod(2)], { partition: 2 }, []],
    ['makes pods below the partition as they were', [pod(1, stale), pod(2)], { partition: 2 }, ['+0@old']],
    [
      'leaves the update to whoever deletes',
      [pod(0, stale), pod(1, stale), pod(2, stale)],
      { onDelete: true },
      [],
    ],
    ['shrinks from the highest down', [pod(0), pod(1), pod(2)], { replicas: 1 }, ['-2']],
    ['one at a time', [pod(0), pod(1), pod(2, { terminating: true })], { replicas: 1 }, []],
    ['does nothing when all is well', [pod(0), pod(1), pod(2)], {}, []],
    ['is held up by a pod that never gets well', [pod(0, { ...stale, ...unwell }), pod(1), pod(2)], {}, []],
    ['counts from another start', [], { start: 5 }, ['+5@new']],
  ] as const)('%s', (_, pods, overrides, expected) => {
    expect(plan(pods, overrides)).toEqual(expected);
  });
});

describe('a DaemonSet', () => {
  const daemon = (node: string, overrides: Partial<DaemonPod> = {}): DaemonPod => ({
    name: `pod-${node}`,
    node,
    updated: true,
    available: true,
    terminating: false,
    over: false,
    ...overrides,
  });
  it.each([
    ['fills every node', [], { create: ['a', 'b'], remove: [] }],
    [
      'leaves a node that is gone',
      [daemon('a'), daemon('b'), daemon('c')],
      { create: [], remove: ['pod-c'] },
    ],
    [
      'updates one node at a time',
      [daemon('a', { updated: false }), daemon('b', { updated: false })],
      { create: [], remove: ['pod-a'] },
    ],
    [
      'waits for the updated one',
      [daemon('a', { available: false }), daemon('b', { updated: false })],
      { create: [], remove: [] },
    ],
    [
      'waits for the old one to go before it makes the new one',
      [daemon('a', { terminating: true }), daemon('b')],
      { create: [], remove: [] },
    ],
  ])('%s', (_, pods, expected) => {
    expect(planDaemonSet({ nodes: ['a', 'b'], pods, onDelete: false, maxUnavailable: 1 })).toEqual(expected);
  });
});

it.each([
  [{ healthy: 3, expected: 3, minAvailable: 2, maxUnavailable: undefined }, 1],
  [{ healthy: 2, expected: 3, minAvailable: 2, maxUnavailable: undefined }, 0],
  [{ healthy: 3, expected: 3, minAvailable: '50%', maxUnavailable: undefined }, 1],
  [{ healthy: 3, expected: 3, minAvailable: undefined, maxUnavailable: 1 }, 1],
  [{ healthy: 2, expected: 3, minAvailable: undefined, maxUnavailable: '34%' }, 1],
  [{ healthy: 0, expected: 0, minAvailable: 0, maxUnavailable: undefined }, 0],
])('a budget of %j lets %i pods go', (facts, allowed) => {
  expect(decideBudget(facts).disruptionsAllowed).toBe(allowed);
});

it.each([
  ['starts', { active: 0, succeeded: 0, failed: 0 }, { create: 1, outcome: undefined }],
  ['waits', { active: 1, succeeded: 0, failed: 0 }, { create: 0, outcome: undefined }],
  ['is complete', { active: 0, succeeded: 1, failed: 0 }, { create: 0, outcome: 'Complete' }],
  ['tries again', { active: 0, succeeded: 0, failed: 1 }, { create: 1, outcome: undefined }],
  ['fails', { active: 0, succeeded: 0, failed: 2 }, { create: 0, outcome: 'Failed' }],
])('a Job %s', (_, counts, expected) => {
  const fixed = { completions: 1, parallelism: 1, backoffLimit: 1, suspended: false };
  expect(decideJob({ ...fixed, ...counts })).toMatchObject(expected);
});
