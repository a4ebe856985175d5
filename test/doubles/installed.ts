import { KubeConfig } from '@kubernetes/client-node';
import { onTestFinished, vi } from 'vitest';
import { connectApi, ignoring } from '../../sandbox/controllers/client/api.ts';
import type { Kind } from '../../sandbox/controllers/client/kinds.ts';
import type { ClusterMeta } from '../../sandbox/controllers/client/wire.ts';
import type { TestCluster } from '../setup/cluster.ts';

interface Definition {
  readonly metadata: ClusterMeta;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const DEFINITIONS: Kind<Definition> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

/**
 * Installs definitions of custom resources that aren't there yet, and waits until the server serves them. As JSON, since
 * the client's own classes drop the `x-kubernetes-` fields of a schema.
 */
export async function install(
  { kubeconfig }: TestCluster,
  definitions: readonly { readonly metadata: { readonly name: string } }[],
): Promise<void> {
  const api = connectApi(configOf({ kubeconfig }));
  for (const definition of definitions) {
    await ignoring([409], api.create(DEFINITIONS, definition));
    const established = async () => {
      const { status } = await api.get(DEFINITIONS, definition.metadata);
      const found = status?.conditions?.find(({ type }) => type === 'Established')?.status;
      if (found !== 'True') throw new Error(`${definition.metadata.name} is not served yet`);
    };
    await vi.waitFor(established, { timeout: 10_000, interval: 25 });
  }
}

/** Runs a double against the test's cluster until the test ends. */
export async function running(
  { kubeconfig }: TestCluster,
  start: (config: KubeConfig) => Promise<{ stop(): Promise<void> }>,
): Promise<void> {
  const double = await start(configOf({ kubeconfig }));
  onTestFinished(() => double.stop());
}

export function configOf({ kubeconfig }: Pick<TestCluster, 'kubeconfig'>): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  return config;
}
