import { expect, test } from 'vitest';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { lastStart, startedOtherwise, startOf } from './start.ts';

const timeAt = (seconds: number) => new Date(Date.parse('2026-11-01T12:00:00Z') + seconds * 1_000);
const REPORTED = 100;

const running = (name: string, at: number) => ({ name, state: { running: { startedAt: timeAt(at) } } });
const over = (name: string, at: number) => ({
  name,
  state: { terminated: { startedAt: timeAt(at).toISOString() } },
});
const pod = (containers: object[], inits: object[] = [], initContainers: object[] = []): ClusterObject => ({
  metadata: { name: 'web-0' },
  spec: { initContainers },
  status: { startTime: timeAt(0), containerStatuses: containers, initContainerStatuses: inits },
});
const report = (generation: number): ClusterObject => ({
  metadata: {
    generation,
    managedFields: [
      { manager: 'driver', time: timeAt(REPORTED), fieldsV1: { 'f:status': { 'f:objects': {} } } },
      { manager: 'kubectl', time: timeAt(REPORTED + 50), fieldsV1: { 'f:metadata': {} } },
    ],
  },
});
const sidecar = [{ name: 'agent', restartPolicy: 'Always' }];
const before = timeAt(10).getTime();

test.each<[string, ClusterObject, number, 'forward' | 'back', RegExp | undefined]>([
  ['whose mount was never changed', pod([running('web', 10)]), 1, 'forward', undefined],
  ['that started before the report', pod([running('web', 10)]), 2, 'forward', /after its containers/],
  ['that started in its second', pod([running('web', REPORTED)]), 2, 'forward', /after its containers/],
  ['that started again after it', pod([running('web', REPORTED + 1)]), 2, 'forward', undefined],
  [
    'with one container that did not',
    pod([running('web', REPORTED + 1), running('log', 10)]),
    2,
    'forward',
    /after its containers/,
  ],
  [
    'with an init container that read before it',
    pod([running('web', REPORTED + 1)], [over('fetch', 9)]),
    2,
    'forward',
    /after its containers/,
  ],
  [
    'with an init container that does not mount it',
    pod([running('web', REPORTED + 1)], [over('chown', 9)]),
    2,
    'forward',
    undefined,
  ],
  [
    'with a sidecar that went on from before it',
    pod([running('web', REPORTED + 1)], [running('agent', 9)], sidecar),
    2,
    'forward',
    /after its containers/,
  ],
  [
    'with a sidecar that started again too',
    pod([running('web', REPORTED + 1)], [running('agent', REPORTED + 1)], sidecar),
    2,
    'forward',
    undefined,
  ],
  ['whose container has just ended', pod([over('web', REPORTED + 1)]), 2, 'forward', /not all/],
  ['that says nothing of its containers', pod([]), 2, 'forward', /not all/],
  ['going back, that ran before the rotation', pod([running('web', 10)]), 3, 'back', undefined],
  ['going back, that came meanwhile', pod([running('web', 11)]), 3, 'back', /after its containers/],
])('a pod %s', (_, made, generation, going, told) => {
  const start = startOf(made, report(generation), ['web', 'fetch']);
  const seen = startedOtherwise(start, { versions: {}, by: 'change', startedBy: before }, going);
  if (told) expect(seen).toMatch(told);
  else expect(seen).toBeUndefined();
});

test('without the time of the report, or of what ran before, nothing is proven', () => {
  const start = startOf(pod([running('web', REPORTED + 1)]), { metadata: { generation: 2 } }, ['web']);
  expect(start).toMatchObject({ podAt: timeAt(0).toISOString(), reportedMs: undefined, unchanged: false });
  for (const going of ['forward', 'back'] as const)
    expect(startedOtherwise(start, { versions: {}, by: 'id' }, going)).toMatch(/after its containers/);
});

test('the last start is of all containers of all pods', () => {
  const starts = [pod([running('a', 3), running('b', 7)]), pod([running('a', 5)]), pod([])];
  const looked = starts.map((each) => ({ start: startOf(each, undefined, []) }));
  expect(lastStart(looked)).toBe(timeAt(7).getTime());
  expect(lastStart([])).toBeUndefined();
});
