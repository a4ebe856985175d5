import { describe, expect, it } from 'vitest';
import { decideStatus, type StatusFacts } from '../../sandbox/controllers/deployment-status.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const at = (seconds: number) => new Date(NOW - seconds * 1000).toISOString().replace('.000Z', 'Z');

function facts(overrides: Partial<StatusFacts> = {}): StatusFacts {
  const fresh = { name: 'web-1', wanted: 2, replicas: 2, ready: 0, available: 0 };
  return {
    generation: 3,
    replicas: 2,
    maxUnavailable: 0,
    progressDeadlineSeconds: 60,
    paused: false,
    fresh,
    all: [overrides.fresh ?? fresh],
    before: {},
    nowMs: NOW,
    ...overrides,
  };
}

const condition = (given: StatusFacts, type: string) =>
  decideStatus(given).status.conditions?.find((known) => known.type === type);

const progressing = (reason: string, age: number, status = 'True') => ({
  type: 'Progressing',
  status,
  reason,
  message: `ReplicaSet "web-1" has successfully progressed.`,
  lastUpdateTime: at(age),
  lastTransitionTime: at(age),
});

const complete = { name: 'web-1', wanted: 2, replicas: 2, ready: 2, available: 2 };
const before = { replicas: 2, updatedReplicas: 2 };

describe('the Progressing condition', () => {
  it.each([
    ['begins with the rollout', {}, 'ReplicaSetUpdated'],
    ['ends when all is available', { fresh: complete }, 'NewReplicaSetAvailable'],
    [
      'goes on within the deadline',
      { before: { ...before, conditions: [progressing('ReplicaSetUpdated', 59)] } },
      'ReplicaSetUpdated',
    ],
    [
      'fails after the deadline',
      { before: { ...before, conditions: [progressing('ReplicaSetUpdated', 61)] } },
      'ProgressDeadlineExceeded',
    ],
    [
      'starts its deadline anew with every bit of progress',
      {
        fresh: { ...complete, available: 1 },
        before: { ...before, conditions: [progressing('ReplicaSetUpdated', 61)] },
      },
      'ReplicaSetUpdated',
    ],
    [
      'stays failed until something progresses',
      { before: { ...before, conditions: [progressing('ProgressDeadlineExceeded', 500, 'False')] } },
      'ProgressDeadlineExceeded',
    ],
    [
      'stays complete when pods of a finished rollout die',
      { before: { ...before, conditions: [progressing('NewReplicaSetAvailable', 500)] } },
      'NewReplicaSetAvailable',
    ],
    [
      'has no deadline while paused',
      { paused: true, before: { ...before, conditions: [progressing('ReplicaSetUpdated', 500)] } },
      'ReplicaSetUpdated',
    ],
    ['is absent without a deadline', { progressDeadlineSeconds: undefined }, undefined],
  ])('%s', (_, overrides: Partial<StatusFacts>, reason) => {
    expect(condition(facts(overrides), 'Progressing')?.reason).toBe(reason);
  });

  it('asks to be looked at when the deadline passes', () => {
    const waiting = facts({ before: { ...before, conditions: [progressing('ReplicaSetUpdated', 50)] } });
    expect(decideStatus(waiting).againMs).toBe(10_001);
  });
});

describe('the Available condition', () => {
  it.each([
    [2, 0, 'MinimumReplicasAvailable'],
    [1, 0, 'MinimumReplicasUnavailable'],
    [1, 1, 'MinimumReplicasAvailable'],
  ])('with %i of 2 and %i that may be missing is %s', (available, maxUnavailable, reason) => {
    const fresh = { ...complete, ready: available, available };
    expect(condition(facts({ fresh, maxUnavailable }), 'Available')?.reason).toBe(reason);
  });
});

it('counts all sets, and keeps a condition that says the same', () => {
  const old = { name: 'web-0', wanted: 1, replicas: 1, ready: 1, available: 1 };
  const { status } = decideStatus(facts({ all: [complete, old], fresh: complete }));
  expect(status).toMatchObject({
    observedGeneration: 3,
    replicas: 3,
    updatedReplicas: 2,
    readyReplicas: 3,
    availableReplicas: 3,
    unavailableReplicas: 0,
  });
  const again = decideStatus(
    facts({ all: [complete, old], fresh: complete, before: status, nowMs: NOW + 5_000 }),
  );
  expect(again.status).toEqual(status);
});
