import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';

/**
 * For what is good to know and nothing depends on.
 * @returns the objects; where they may not be listed, a warning that says so
 */
export async function listedOrWarning(
  call: Call,
  cluster: Cluster,
  of: Parameters<Cluster['list']>[1],
): Promise<readonly ClusterObject[] | string> {
  try {
    return await cluster.list(call, of);
  } catch (thrown) {
    if (!(thrown instanceof RotorError) || thrown.code !== 'cluster.forbidden') throw thrown;
    return `not looked at: ${thrown.message}`;
  }
}
