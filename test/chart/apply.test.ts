import { beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Cluster, useCluster } from '../sandbox/cluster.ts';
import { podsOf, type Rendered, render, skippedWithoutHelm } from './helm.ts';

const skipped = skippedWithoutHelm('applying what the chart renders');

/** Kinds of the operators that the chart can use; clusters that have these operators know them better. */
const FOREIGN = [
  ['monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'],
  ['monitoring.coreos.com', 'v1', 'PrometheusRule', 'prometheusrules'],
  ['keda.sh', 'v1alpha1', 'ScaledObject', 'scaledobjects'],
  ['keda.sh', 'v1alpha1', 'TriggerAuthentication', 'triggerauthentications'],
] as const;

describe.skipIf(skipped)('what the chart renders', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await useCluster();
  });

  test.each<[string, boolean, object]>([
    ['with default values', false, {}],
    ['with everything switched on', true, {}],
    ['with an HPA', false, { worker: { autoscaling: { kind: 'hpa' } } }],
  ])(
    '%s is accepted by a cluster as it is, object by object, and once more',
    async (_, everything, extra) => {
      const [own, shop, billing, kept] = [
        await cluster.namespace(),
        await cluster.namespace(),
        await cluster.namespace(),
        await cluster.namespace(),
      ];
      if (everything) await registerForeign(cluster);
      const values = everything
        ? {
            namespaces: [{ name: shop }, { name: billing, secrets: ['billing-db'] }],
            storeNamespaces: [kept],
            watchNamespaces: [shop, billing],
          }
        : {};
      const objects = await render({ everything, namespace: own, values: { ...values, ...extra } });
      for (const object of objects) {
        const what = `${object.kind} ${object.metadata.name}`;
        const first = await apply(cluster, object);
        expect(first.status, `${what}: ${JSON.stringify(first.body.message)}`).toBe(201);
        const fields = Object.keys(first.body.spec ?? {});
        expect(fields, what).toEqual(expect.arrayContaining(Object.keys(object.spec ?? {})));
        const again = await apply(cluster, object);
        expect(again.status, what).toBe(200);
        // A pod is given to a node meanwhile.
        if (object.kind !== 'Pod')
          expect(again.body.metadata.generation, what).toBe(first.body.metadata.generation);
      }
    },
  );

  // The sandbox has no admission of Pod Security: a real server refuses what isn't restricted.
  test('its pods are let into a namespace that enforces the restricted profile', async () => {
    const namespace = await cluster.namespace();
    const level = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const labelled = await cluster.call('PATCH', `/api/v1/namespaces/${namespace}`, {
      type: 'application/merge-patch+json',
      body: { metadata: { labels: level } },
    });
    expect(labelled.status).toBe(200);
    const values = {
      kubeconfig: { secret: '' },
      home: { existingClaim: '' },
      orchestrator: { priorityClassName: '' },
      migration: { priorityClassName: '' },
    };
    const objects = await render({ everything: true, namespace, values });
    for (const object of objects) if (object.kind === 'ServiceAccount') await apply(cluster, object);
    for (const [index, { name, template }] of podsOf(objects).entries()) {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `pod-${index}`, namespace },
        spec: template.spec,
      };
      const made = await apply(cluster, pod as unknown as Rendered);
      expect(made.status, `${name}: ${JSON.stringify(made.body.message)}`).toBe(201);
    }
  });
});

async function apply(cluster: Cluster, object: Rendered): Promise<Answer> {
  const { apiVersion, kind, metadata } = object;
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { body } = await cluster.call('GET', base);
  const resource = body.resources?.find(
    (each: { kind: string; name: string }) => each.kind === kind && !each.name.includes('/'),
  );
  if (!resource) throw new Error(`the cluster knows no ${kind} of ${apiVersion}`);
  const within = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  const path = `${base}${within}/${resource.name}/${metadata.name}`;
  const answer = await cluster.call('PATCH', `${path}?fieldManager=test&fieldValidation=Strict`, {
    type: 'application/apply-patch+yaml',
    body: object,
  });
  if (metadata.namespace === undefined) cluster.cleanUp(path);
  return answer;
}

async function registerForeign(cluster: Cluster): Promise<void> {
  for (const [group, version, kind, plural] of FOREIGN) {
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    await apply(cluster, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
        versions: [{ name: version, served: true, storage: true, schema }],
      },
    });
    const served = async () => (await cluster.call('GET', `/apis/${group}/${version}`)).body.resources ?? [];
    await expect
      .poll(served, { timeout: 20_000 })
      .toContainEqual(expect.objectContaining({ name: plural, kind }));
  }
}
