import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, useCluster } from '../sandbox/cluster.ts';

/** A cluster that the workers of a suite, which are processes of this one, find by their kubeconfig; `forget` when it is over. */
export async function clusterOfWorkers(): Promise<{
  readonly cluster: Cluster;
  forget(): Promise<void>;
}> {
  const cluster = await useCluster();
  const folder = await mkdtemp(join(tmpdir(), 'rotor-crash-cluster-'));
  const file = join(folder, 'kubeconfig');
  await writeFile(file, cluster.config.exportConfig(), { mode: 0o600 });
  const before = process.env.KUBECONFIG;
  process.env.KUBECONFIG = file;
  return {
    cluster,
    forget: async () => {
      if (before === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = before;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** No request goes wrong any more. */
export function undisturb({ sandbox }: Cluster): void {
  if (sandbox) Object.assign(sandbox.faults, { before: () => 'ok', after: () => 'ok' });
}
