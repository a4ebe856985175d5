import { describe, expect, it } from 'vitest';
import type { Node, Pod, PodSpec } from '../../sandbox/controllers/client/wire.ts';
import { byUse, planPods } from '../../sandbox/controllers/replica-set-decision.ts';
import {
  type ContainerFacts,
  newContainer,
  restartPauseMs,
  restarts,
} from '../../sandbox/kubelet/container-state.ts';
import { type PodFacts, phaseOf, podStatus } from '../../sandbox/kubelet/pod-status.ts';
import { NO_RESULTS, tally } from '../../sandbox/kubelet/probe-decision.ts';
import { fits } from '../../sandbox/kubelet/scheduling.ts';

const NOW = '2026-01-01T00:00:00Z';
const metadata = { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1', creationTimestamp: NOW };
const aPod = (spec: Partial<PodSpec> = {}): Pod => ({ metadata, spec: { containers: [], ...spec } });

describe('a probe', () => {
  it.each([
    ['y', 1, 1, [true]],
    ['n', 3, 1, [undefined]],
    ['nnn', 3, 1, [undefined, undefined, false]],
    ['ynnyn', 3, 1, [true, true, true, true, true]],
    ['nnnyy', 3, 2, [undefined, undefined, false, false, true]],
  ])(
    'that answers %s, with thresholds of %i and %i',
    (answers, failureThreshold, successThreshold, expected) => {
      let state = NO_RESULTS;
      const verdicts = [...answers].map((answer) => {
        state = tally(state, answer === 'y', { failureThreshold, successThreshold });
        return state.verdict;
      });
      expect(verdicts).toEqual(expected);
    },
  );
});

describe('restarts', () => {
  it.each([
    ['Always', false, 0, true],
    ['Always', true, 0, false],
    ['Always', true, 1, true],
    ['OnFailure', false, 0, false],
    ['OnFailure', false, 1, true],
    ['Never', false, 1, false],
    ['Never', true, 1, false],
  ])('policy %s, init %s, exit %i: %s', (policy, isInit, code, expected) => {
    expect(restarts(policy, isInit, code)).toBe(expected);
  });

  it('are immediate at first, and then wait longer and longer up to a bound', () => {
    const pauses = [1, 2, 3, 4, 5, 60].map((crashes) => restartPauseMs(crashes, { baseMs: 10, maxMs: 50 }));
    expect(pauses).toEqual([0, 10, 20, 40, 50, 50]);
  });
});

describe("a pod's status", () => {
  const container = (overrides: Partial<ContainerFacts> = {}): ContainerFacts => ({
    ...newContainer('main', 'image', 'ContainerCreating'),
    ...overrides,
  });
  const running = { state: { running: { startedAt: NOW } } };
  const ended = (exitCode: number) => ({ state: { terminated: { exitCode } } });
  const facts = (containers: ContainerFacts[], overrides: Partial<PodFacts> = {}): PodFacts => ({
    pod: aPod(),
    init: [],
    containers,
    address: '127.0.0.1',
    startTime: NOW,
    now: NOW,
    terminating: false,
    before: {},
    ...overrides,
  });
  const never = { pod: aPod({ restartPolicy: 'Never' }) };

  it.each<[string, PodFacts, string]>([
    ['waiting', facts([container()]), 'Pending'],
    ['one of two running', facts([container(running), container()]), 'Pending'],
    ['running', facts([container(running)]), 'Running'],
    ['ended, to be restarted', facts([container(ended(1))]), 'Running'],
    ['in back-off', facts([container({ lastState: ended(1).state })]), 'Running'],
    ['ended well', facts([container(ended(0))], never), 'Succeeded'],
    ['one of two failed', facts([container(ended(0)), container(ended(2))], never), 'Failed'],
    ['init failed for good', facts([container()], { ...never, init: [container(ended(1))] }), 'Failed'],
    ['told to end', facts([container(ended(143))], { terminating: true }), 'Failed'],
  ])('%s', (_, given, phase) => {
    expect(phaseOf(given)).toBe(phase);
  });

  it('says which containers are unready, and keeps the times of conditions that stay', () => {
    const before = podStatus(facts([container({ ...running, ready: true })]));
    const later = '2026-01-01T00:00:09Z';
    const { conditions = [] } = podStatus(facts([container(running)], { before, now: later }));
    const [ready] = conditions.filter(({ type }) => type === 'Ready');
    const [scheduled] = conditions.filter(({ type }) => type === 'PodScheduled');
    expect(ready).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
      lastTransitionTime: later,
    });
    expect(scheduled?.lastTransitionTime).toBe(NOW);
  });

  it('is not ready while a readiness gate is shut', () => {
    const pod = aPod({ readinessGates: [{ conditionType: 'mine' }] });
    const up = [container({ ...running, ready: true })];
    const ready = (before: PodFacts['before']) =>
      podStatus(facts(up, { pod, before })).conditions?.find(({ type }) => type === 'Ready')?.status;
    expect(ready({})).toBe('False');
    expect(ready({ conditions: [{ type: 'mine', status: 'True' }] })).toBe('True');
  });
});

describe('scheduling', () => {
  const node: Node = { metadata: { ...metadata, name: 'n1', labels: { disk: 'fast' } }, spec: {} };
  const term = (name: string) => ({
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }] }],
      },
    },
  });
  const tainted = { ...node, spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } };
  it.each<[string, Pod, Node, boolean]>([
    ['a plain pod', aPod(), node, true],
    ['a pod that has a node', aPod({ nodeName: 'n2' }), node, false],
    ['a pod for another scheduler', aPod({ schedulerName: 'mine' }), node, false],
    ['a pod that asks for a label', aPod({ nodeSelector: { disk: 'fast' } }), node, true],
    ['a pod that asks for another label', aPod({ nodeSelector: { disk: 'slow' } }), node, false],
    ['a pod for this node', aPod({ affinity: term('n1') }), node, true],
    ['a pod for another node', aPod({ affinity: term('n2') }), node, false],
    ['a cordoned node', aPod(), { ...node, spec: { unschedulable: true } }, false],
    ['a tainted node', aPod(), tainted, false],
    ['a pod that tolerates the taint', aPod({ tolerations: [{ key: 'k', value: 'v' }] }), tainted, true],
  ])('%s', (_, pod, onNode, expected) => {
    expect(fits(pod, onNode)).toBe(expected);
  });
});

describe('pods of a ReplicaSet', () => {
  const ready = (
    name: string,
    overrides: Partial<Pod['metadata']> = {},
    spec: Partial<PodSpec> = {},
  ): Pod => ({
    metadata: { ...metadata, name, ...overrides },
    spec: { containers: [], nodeName: 'n1', ...spec },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: overrides.creationTimestamp ?? NOW }],
    },
  });
  const pending: Pod = { ...ready('pending'), status: { phase: 'Pending' } };
  const cheap = ready('cheap', { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } });
  const young = ready('young', { creationTimestamp: '2026-01-01T00:01:00Z' });

  it('are made up to the wanted number', () => {
    expect(planPods([ready('a')], 3)).toEqual({ create: 2, remove: [] });
  });

  it.each([
    ['those that never ran', [ready('a'), pending], 'pending'],
    ['those that cost least', [ready('a'), cheap], 'cheap'],
    ['the youngest', [young, ready('a')], 'young'],
  ])('that are too many go, first %s', (_, pods, first) => {
    expect([...pods].sort(byUse)[0]?.metadata.name).toBe(first);
    expect(planPods(pods, 1).remove.map(({ metadata: { name } }) => name)).toEqual([first]);
  });
});
