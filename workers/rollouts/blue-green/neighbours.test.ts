import { expect, test } from 'vitest';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { autoscalers, otherServices } from './neighbours.ts';

const metadata = (name: string) => ({ name, namespace: 'shop' });
const blue: ClusterObject = {
  metadata: metadata('web'),
  spec: { template: { metadata: { labels: { app: 'web', tier: 'front' } } } },
};

test.each<[string, object | undefined, boolean]>([
  ['selects its pods', { app: 'web' }, true],
  ['selects its pods by more than one label', { app: 'web', tier: 'front' }, true],
  ['selects others', { app: 'web', tier: 'back' }, false],
  ['is led by what the twin has not', { app: 'web', 'rotor.dev/slot': 'blue' }, false],
  ['has no selector', undefined, false],
])('a Service beside the one that is switched, which %s', (_, selector, told) => {
  const other: ClusterObject = { metadata: metadata('admin'), spec: { selector } };
  const switched: ClusterObject = { metadata: metadata('web'), spec: { selector: { app: 'web' } } };
  const seen = otherServices(blue, [switched, other], 'web');
  if (told) expect(seen).toEqual([expect.stringMatching(/^service shop\/admin leads to .*before any gate/)]);
  else expect(seen).toEqual([]);
});

test('an autoscaler of the Deployment is told with its least number of pods, one of another is not', () => {
  const scaler = (name: string, kind = 'Deployment'): ClusterObject => ({
    metadata: metadata(name),
    spec: { scaleTargetRef: { kind, name }, minReplicas: 2 },
  });
  expect(autoscalers(blue, [scaler('web'), scaler('other'), scaler('web', 'StatefulSet')])).toEqual([
    expect.stringMatching(/horizontalpodautoscaler shop\/web .*minReplicas \(2\)/),
  ]);
});
