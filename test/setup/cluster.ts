import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { KubernetesObject } from '@kubernetes/client-node';
import * as client from '@kubernetes/client-node';
import { type Clusters, kubeconfigClusters } from '../../workers/kubernetes/cluster.ts';

export interface TestCluster {
  readonly clusters: Clusters;
  /** What a person would do with kubectl, with all rights. */
  readonly api: client.KubernetesObjectApi;
  /** A namespace of its own. */
  readonly namespace: string;
  create(object: KubernetesObject & { readonly [field: string]: unknown }): Promise<void>;
  remove(): Promise<void>;
}

/** Kubeconfig of the cluster that `ROTOR_TEST_KUBECONFIG` names. */
export function testKubeconfig(): string {
  const file = process.env.ROTOR_TEST_KUBECONFIG;
  return file ? readFileSync(file, 'utf8') : '';
}

/** A namespace in the cluster of the tests, and the clusters as a worker opens them. */
export async function freshNamespace(kubeconfig = testKubeconfig()): Promise<TestCluster> {
  const config = new client.KubeConfig();
  config.loadFromString(kubeconfig);
  const api = client.KubernetesObjectApi.makeApiClient(config);
  const namespace = `rotor-${randomBytes(5).toString('hex')}`;
  const itself = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await api.create(itself);
  return {
    clusters: kubeconfigClusters((each) => each.loadFromString(kubeconfig)),
    api,
    namespace,
    create: async (object) => {
      await api.create({ ...object, metadata: { namespace, ...object.metadata } });
    },
    remove: async () => {
      await api.delete(itself);
    },
  };
}
