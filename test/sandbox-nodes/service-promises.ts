import { expect, it } from 'vitest';
import {
  DISRUPTION_BUDGETS,
  ENDPOINT_SLICES,
  ENDPOINTS,
  JOBS,
  SERVICES,
} from '../../sandbox/controllers/client/kinds.ts';
import { foreignControllers, noServices, type TestCluster } from './cluster.ts';
import { createDeployment, patchDeployment, scriptContainer, untilRolledOut } from './workloads.ts';

/** What stands around workloads: Services, disruption budgets, and jobs. */
export function servicePromises(the: () => TestCluster): void {
  it.skipIf(noServices)('a Service lists the pods that are ready, each with its own port', async () => {
    const { api, namespace } = the();
    await api.create(SERVICES, {
      metadata: { name: 'front', namespace },
      spec: { selector: { app: 'front' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    });
    await createDeployment(the(), 'front', { replicas: 2 });
    await untilRolledOut(the(), 'front');
    const slices = await the().until('two ready endpoints', async () => {
      const { items } = await api.list(ENDPOINT_SLICES);
      const ours = items.filter(
        ({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'front',
      );
      const ready = ours.flatMap(({ endpoints }) => endpoints ?? []).filter((one) => one.conditions?.ready);
      return ready.length === 2 ? ours : undefined;
    });
    const { subsets = [] } = await api.get(ENDPOINTS, { name: 'front', namespace });
    expect(subsets.flatMap(({ addresses = [] }) => addresses)).toHaveLength(2);
    if (!foreignControllers) {
      for (const { ports = [], endpoints = [] } of slices) {
        const url = `http://${endpoints[0]?.addresses[0]}:${ports[0]?.port}/`;
        expect(await (await fetch(url)).text()).toBe('1');
      }
    }
    await patchDeployment(the(), 'front', { replicas: 0 });
    await the().until('no endpoints', async () => {
      const { items } = await api.list(ENDPOINT_SLICES);
      const ours = items.filter(
        ({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'front',
      );
      return ours.every(({ endpoints }) => (endpoints ?? []).length === 0) || undefined;
    });
  });

  it('a disruption budget says how many pods may go', async () => {
    const { api, namespace } = the();
    await createDeployment(the(), 'guarded', { replicas: 3 });
    await api.create(DISRUPTION_BUDGETS, {
      metadata: { name: 'guarded', namespace },
      spec: { minAvailable: 2, selector: { matchLabels: { app: 'guarded' } } },
    });
    await untilRolledOut(the(), 'guarded');
    const status = await the().until('the status', async () => {
      const budget = await api.get(DISRUPTION_BUDGETS, { name: 'guarded', namespace });
      return budget.status?.currentHealthy === 3 ? budget.status : undefined;
    });
    expect(status).toMatchObject({ disruptionsAllowed: 1, desiredHealthy: 2, expectedPods: 3 });
  });

  it('a Job runs to its end, and fails when its pods do', async () => {
    const { api, namespace } = the();
    for (const [name, code, condition] of [
      ['works', 0, 'Complete'],
      ['breaks', 1, 'Failed'],
    ] as const) {
      const container = scriptContainer(`process.exit(${code})`);
      await api.create(JOBS, {
        metadata: { name, namespace },
        spec: {
          backoffLimit: 0,
          template: { spec: { restartPolicy: 'Never', containers: [container] } },
        },
      });
      await the().until(condition, async () => {
        const { status } = await api.get(JOBS, { name, namespace });
        return (
          status?.conditions?.some(({ type, status }) => type === condition && status === 'True') || undefined
        );
      });
    }
  });
}
