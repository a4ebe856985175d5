import { expect, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { isReady } from './pod-evidence.ts';
import { notBetween, startedWhen } from './way-back.ts';

const at = (seconds: number) => new Date(Date.parse('2026-11-01T12:00:00Z') + seconds * 1_000);
const CHANGED = 100.5;
const BACK = 200;

const running = (seconds: number) => ({ state: { running: { startedAt: at(seconds) } } });
const pod = (madeAt: number, containers: object[], inits: object[] = []): ClusterObject => ({
  metadata: { name: 'web-a', creationTimestamp: at(madeAt) },
  status: { containerStatuses: containers, initContainerStatuses: inits },
});
const workload = (templateAt: number): ClusterObject => ({
  kind: 'Deployment',
  metadata: {
    generation: 1,
    managedFields: [{ time: at(templateAt), fieldsV1: { 'f:spec': { 'f:template': {} } } }],
  },
  spec: { replicas: 1 },
  status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
});

test.each<[string, ClusterObject, 'before' | 'between' | 'since']>([
  ['has run all the time', pod(10, [running(11), running(12)]), 'before'],
  ['was made while the Secret carried the other version', pod(150, [running(151)]), 'between'],
  [
    'was made before, and a container of it was started again',
    pod(10, [running(11), running(101)]),
    'between',
  ],
  ['was made before, and started in the very second', pod(10, [running(100)]), 'between'],
  ['was made before, and was long in starting', pod(90, [running(110)]), 'between'],
  ['has a container that does not run', pod(10, [running(11), { state: { waiting: {} } }]), 'between'],
  ['says nothing of its containers', pod(10, []), 'between'],
  [
    'has an init container that was run again',
    pod(10, [running(12)], [{ state: { terminated: { startedAt: at(150) } } }]),
    'between',
  ],
  [
    'has an init container of before',
    pod(10, [running(12)], [{ state: { terminated: { startedAt: at(11) } } }]),
    'before',
  ],
  ['was made afterwards', pod(201, []), 'since'],
  ['was started again afterwards', pod(150, [running(210)]), 'between'],
  ['was made in the very second, of a template of before', pod(200, [running(200)]), 'between'],
])('a pod that %s', (_, made, expected) => {
  expect(
    startedWhen(made, workload(20), { changedMs: at(CHANGED).getTime(), backMs: at(BACK).getTime() }),
  ).toBe(expected);
});

test('a pod that was made in the second of the way back, of a template that came no earlier', () => {
  const facts = { changedMs: at(CHANGED).getTime(), backMs: at(BACK).getTime() };
  expect(startedWhen(pod(200, [running(200)]), workload(200), facts)).toBe('since');
});

test('while nobody knows when the Secret was written, only pods that have run all the time are known to be as before', async () => {
  const look = async (each: ClusterObject) => {
    const cluster = {
      read: async () => ({ metadata: { name: 'db', managedFields: [] } }),
      list: async () => [each],
    } as unknown as Cluster;
    const back = {
      ref: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' },
      workload: { ...workload(0), spec: { selector: { matchLabels: { app: 'web' } } } },
      secret: { logical: 'db', name: 'db' },
      annotation: 'secret.rotor.dev/db',
      wanted: undefined,
      changedSince: at(CHANGED),
    };
    const evidence = {
      name: 'web-a',
      onVersion: true,
      ready: isReady(each),
      by: 'template',
      startedAt: undefined,
    } as const;
    return notBetween({} as Call, cluster, back, [evidence]);
  };
  expect(await look(pod(10, [running(11)]))).toMatchObject({ pods: [{ name: 'web-a', by: 'untouched' }] });
  expect(await look(pod(300, [running(301)]))).toEqual({
    notYet: expect.stringMatching(/^pod web-a may have started .*secret shop\/db .*managedFields/),
  });
});
