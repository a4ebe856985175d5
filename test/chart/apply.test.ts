import type { KubernetesObject, PatchStrategy } from '@kubernetes/client-node';
import { afterAll, describe, expect, test } from 'vitest';
import { stopTestCluster, type TestCluster, testCluster } from '../setup/cluster.ts';
import { type Rendered, render, skippedWithoutHelm } from './helm.ts';

const skipped = skippedWithoutHelm('applying what the chart renders');

/** Kinds of the operators that the chart can use; clusters that have these operators know them better. */
const FOREIGN = [
  ['monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'],
  ['monitoring.coreos.com', 'v1', 'PrometheusRule', 'prometheusrules'],
  ['keda.sh', 'v1alpha1', 'ScaledObject', 'scaledobjects'],
  ['keda.sh', 'v1alpha1', 'TriggerAuthentication', 'triggerauthentications'],
] as const;

afterAll(stopTestCluster);

describe.skipIf(skipped)('what the chart renders', () => {
  test.each<[string, boolean, object]>([
    ['with default values', false, {}],
    ['with everything switched on', true, {}],
    ['with an HPA', false, { worker: { autoscaling: { kind: 'hpa' } } }],
  ])('%s is accepted by a cluster, object by object, and once more', async (_, everything, extra) => {
    const cluster = await testCluster();
    const [own, shop, billing] = [
      await cluster.namespace(),
      await cluster.namespace(),
      await cluster.namespace(),
    ];
    try {
      if (everything) await registerForeign(cluster);
      const values = everything
        ? {
            namespaces: [{ name: shop.name }, { name: billing.name, secrets: ['billing-db'] }],
            watchNamespaces: [shop.name, billing.name],
          }
        : {};
      const objects = await render({ everything, namespace: own.name, values: { ...values, ...extra } });
      for (const object of objects) {
        const first = await apply(cluster, object);
        expect(first.metadata?.uid, `${object.kind} ${object.metadata.name}`).toBeTruthy();
        const again = await apply(cluster, object);
        expect(again.metadata?.generation, object.kind).toBe(first.metadata?.generation);
      }
    } finally {
      for (const namespace of [own, shop, billing]) await namespace.remove();
    }
  });
});

async function apply({ api }: TestCluster, object: Rendered): Promise<KubernetesObject> {
  const strategy = 'application/apply-patch+yaml' as PatchStrategy;
  return api.patch(object as KubernetesObject, undefined, undefined, 'test', true, strategy);
}

async function registerForeign(cluster: TestCluster): Promise<void> {
  for (const [group, version, kind, plural] of FOREIGN) {
    const name = `${plural}.${group}`;
    const metadata = { name };
    const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    const openAPIV3Schema = { type: 'object', properties: { spec: anything } };
    await apply(cluster, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata,
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
        versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema } }],
      },
    });
    const read = () =>
      cluster.api.read<KubernetesObject & { status?: { conditions?: { type: string; status: string }[] } }>({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata,
      });
    await expect
      .poll(async () => (await read()).status?.conditions ?? [], { timeout: 20_000 })
      .toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
  }
}
