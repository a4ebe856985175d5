import {
  AppsV1Api,
  CoordinationV1Api,
  CustomObjectsApi,
  type KubernetesObject,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
} from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, useCluster } from './cluster.ts';

let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await useCluster();
  namespace = await cluster.namespace();
});

describe('the JavaScript client', () => {
  it('applies, patches and scales', async () => {
    const applied = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'app', image: 'app:1' }] },
        },
      },
    };
    const made = await cluster.objects.patch<KubernetesObject>(
      applied,
      undefined,
      undefined,
      'rotor',
      true,
      PatchStrategy.ServerSideApply,
    );
    expect(made.metadata?.managedFields?.[0]).toMatchObject({ manager: 'rotor', operation: 'Apply' });
    const apps = cluster.config.makeApiClient(AppsV1Api);
    const patched = await apps.patchNamespacedDeployment(
      { namespace, name: 'web', body: { metadata: { annotations: { a: 'b' } } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
    expect(patched.metadata?.annotations?.a).toBe('b');
    const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'web' });
    expect(scale.spec?.replicas).toBe(1);
    await apps.deleteNamespacedDeployment({ namespace, name: 'web' });
  });

  it('holds a lease, with times of microseconds', async () => {
    const leases = cluster.config.makeApiClient(CoordinationV1Api);
    const spec = { holderIdentity: 'me', leaseDurationSeconds: 15 };
    const made = await leases.createNamespacedLease({ namespace, body: { metadata: { name: 'l' }, spec } });
    const stale = { ...made, spec: { ...spec, holderIdentity: 'you' } };
    await leases.replaceNamespacedLease({ namespace, name: 'l', body: stale });
    const late = leases.replaceNamespacedLease({ namespace, name: 'l', body: stale });
    await expect(late).rejects.toMatchObject({ code: 409 });
  });

  it('is told that a kind is not served', async () => {
    const custom = cluster.config.makeApiClient(CustomObjectsApi);
    const asked = custom.listNamespacedCustomObject({
      group: 'no.such',
      version: 'v1',
      namespace,
      plural: 'things',
    });
    await expect(asked).rejects.toMatchObject({ code: 404 });
  });

  it('follows objects by an informer', async () => {
    const list = () => cluster.core.listNamespacedConfigMap({ namespace });
    const informer = makeInformer<V1ConfigMap>(
      cluster.config,
      `/api/v1/namespaces/${namespace}/configmaps`,
      list,
    );
    const seen: string[] = [];
    const gone = Promise.withResolvers<void>();
    const note = (event: string) => (object: V1ConfigMap) => {
      if (object.metadata?.name === 'followed') seen.push(event);
      if (event === 'delete') gone.resolve();
    };
    informer.on('add', note('add'));
    informer.on('update', note('update'));
    informer.on('delete', note('delete'));
    await informer.start();
    const metadata = { name: 'followed' };
    await cluster.core.createNamespacedConfigMap({ namespace, body: { metadata } });
    await cluster.core.replaceNamespacedConfigMap({
      namespace,
      name: 'followed',
      body: { metadata, data: { a: 'b' } },
    });
    await cluster.core.deleteNamespacedConfigMap({ namespace, name: 'followed' });
    await gone.promise;
    await informer.stop();
    expect(seen).toEqual(['add', 'update', 'delete']);
  });
});
