import { networkInterfaces } from 'node:os';
import { ApiException, CoordinationV1Api, CoreV1Api, type KubeConfig } from '@kubernetes/client-node';

/** Clusters may be set up to let in restricted pods only: what the suites run are processes, or nothing at all. */
export const ANY_POD = { 'pod-security.kubernetes.io/enforce': 'privileged' };

/** What names of nodes begin with that suites add to a cluster. */
export const TEST_NODE = 'rotor-test-';

/** Nodes renew their lease every ten seconds. */
const SILENT_MS = 60_000;

interface Nodes {
  /** Of earlier runs that were killed: nobody runs their pods any more. */
  readonly dead: readonly string[];
  readonly alive: readonly string[];
  /** What the cluster has by itself. */
  readonly foreign: readonly string[];
}

/** Whose the nodes of a cluster are. */
export async function nodesOf(config: KubeConfig): Promise<Nodes> {
  const core = config.makeApiClient(CoreV1Api);
  const coordination = config.makeApiClient(CoordinationV1Api);
  const { items: leases } = await coordination.listNamespacedLease({ namespace: 'kube-node-lease' });
  const renewed = new Map(leases.map(({ metadata, spec }) => [metadata?.name, spec?.renewTime]));
  const all = (await core.listNode()).items.map(({ metadata, status }) => {
    const name = metadata?.name ?? '';
    const ours = name.startsWith(TEST_NODE) || (status?.nodeInfo?.kubeletVersion ?? '').endsWith('-sandbox');
    const silentMs = Date.now() - new Date(String(renewed.get(name) ?? 0)).getTime();
    return { name, ours, silent: silentMs > SILENT_MS };
  });
  const names = (of: typeof all) => of.map(({ name }) => name);
  return {
    dead: names(all.filter(({ ours, silent }) => ours && silent)),
    alive: names(all.filter(({ ours, silent }) => ours && !silent)),
    foreign: names(all.filter(({ ours, silent }) => !ours && !silent)),
  };
}

/** An address of this machine for pods: a real API server lists no loopback addresses behind a Service. */
export function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

/** Takes away a node that no longer runs, and what was to run on it: nobody else would end these pods. */
export async function forgetNode(config: KubeConfig, name: string): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const { items } = await core.listPodForAllNamespaces({ fieldSelector: `spec.nodeName=${name}` });
  const gone = () => undefined;
  for (const { metadata } of items)
    await core
      .deleteNamespacedPod({
        name: metadata?.name ?? '',
        namespace: metadata?.namespace ?? '',
        gracePeriodSeconds: 0,
      })
      .catch(gone);
  await core.deleteNode({ name }).catch(gone);
  await config
    .makeApiClient(CoordinationV1Api)
    .deleteNamespacedLease({ namespace: 'kube-node-lease', name })
    .catch(gone);
}

/**
 * Resolves when pods may be made in a namespace that is new: a real server refuses them until a controller has made its
 * `default` ServiceAccount.
 */
export async function untilPodsAreLetIn(config: KubeConfig, namespace: string): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const body = {
    metadata: { name: 'first' },
    spec: { containers: [{ name: 'app', image: 'app:1' }] },
  };
  for (let tries = 1; ; tries += 1) {
    try {
      await core.createNamespacedPod({ namespace, body, dryRun: 'All' });
      return;
    } catch (error) {
      const early = error instanceof ApiException && error.code === 403;
      if (!early || tries === 150) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
