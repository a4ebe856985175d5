import { expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { budgetWarning, holding } from './budgets.ts';

const workload = (kind: string, spec: object = {}): ClusterObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name: 'web', namespace: 'shop' },
  spec: { replicas: 3, template: { metadata: { labels: { app: 'web', tier: 'front' } } }, ...spec },
});

const budget = (selector: object | undefined, disruptionsAllowed: number | undefined = 0): ClusterObject => ({
  metadata: { name: 'pdb', namespace: 'shop' },
  spec: { selector },
  status: { disruptionsAllowed },
});

const rolling = (maxUnavailable: number | string) => ({ strategy: { rollingUpdate: { maxUnavailable } } });
const web = { matchLabels: { app: 'web' } };

test.each<[string, ClusterObject, ClusterObject, boolean]>([
  ['a Deployment that adds before it takes away', workload('Deployment', rolling(0)), budget(web), false],
  ['a Deployment that takes one away', workload('Deployment', rolling(1)), budget(web), true],
  ['a quarter of three pods is none', workload('Deployment'), budget(web), false],
  ['a quarter of four pods is one', workload('Deployment', { replicas: 4 }), budget(web), true],
  [
    'a Deployment that is recreated',
    workload('Deployment', { strategy: { type: 'Recreate' } }),
    budget(web),
    true,
  ],
  ['a StatefulSet', workload('StatefulSet'), budget(web), true],
  ['a DaemonSet', workload('DaemonSet'), budget(web), true],
  [
    'a DaemonSet that adds before it takes away',
    workload('DaemonSet', { updateStrategy: { rollingUpdate: { maxSurge: 1 } } }),
    budget(web),
    false,
  ],
  ['a budget that allows one', workload('StatefulSet'), budget(web, 1), false],
  [
    'a budget that no controller has looked at yet',
    workload('StatefulSet'),
    { ...budget(web), status: {} },
    false,
  ],
  ['a budget of others', workload('StatefulSet'), budget({ matchLabels: { app: 'mail' } }), false],
  ['a budget of every pod', workload('StatefulSet'), budget({}), true],
  ['a budget of no pod', workload('StatefulSet'), budget(undefined), false],
  [
    'a budget by expressions that fit',
    workload('StatefulSet'),
    budget({
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front', 'back'] },
        { key: 'app', operator: 'Exists' },
        { key: 'canary', operator: 'DoesNotExist' },
        { key: 'canary', operator: 'NotIn', values: ['yes'] },
      ],
    }),
    true,
  ],
  [
    'a budget by expressions that do not',
    workload('StatefulSet'),
    budget({ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['front'] }] }),
    false,
  ],
])('%s', (_what, of, pdb, warned) => {
  const warning = budgetWarning(of, [pdb]);
  if (warned) expect(warning).toMatch(/PodDisruptionBudget pdb allows none/);
  else expect(warning).toBeUndefined();
});

test.each<[string, ClusterObject, object, boolean]>([
  ['that is short of a healthy pod', workload('StatefulSet'), { expectedPods: 3, desiredHealthy: 2 }, true],
  ['that never allows one', workload('StatefulSet'), { expectedPods: 3, desiredHealthy: 3 }, false],
  [
    'that allows one',
    workload('StatefulSet'),
    { disruptionsAllowed: 1, expectedPods: 3, desiredHealthy: 2 },
    false,
  ],
  [
    'that is short of a pod, where the next comes first',
    workload('Deployment', { strategy: { rollingUpdate: { maxUnavailable: 0 } } }),
    { expectedPods: 3, desiredHealthy: 2 },
    false,
  ],
])('a budget %s is waited for, or not', (_, of, status, held) => {
  const kept = budget({ matchLabels: { app: 'web' } });
  const seen = holding(of, [{ ...kept, status: { ...kept.status, currentHealthy: 2, ...status } }]);
  if (held) expect(seen).toMatch(/allows no pod to be missing now \(2 are healthy, 2 must be\)/);
  else expect(seen).toBeUndefined();
});
