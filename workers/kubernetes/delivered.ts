import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster } from './cluster.ts';

/** Annotation of a delivered Secret: which version it carries. */
export const VERSION = 'rotor.dev/version';

/**
 * A pod that starts now reads what the Secret carries now: before any is started, that must be the version it is started for.
 * @throws RotorError `delivery.drifted`, `cluster.not-found`
 */
export async function assertDelivered(
  call: Call,
  cluster: Cluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  versionId: string,
): Promise<void> {
  const secret = await cluster.read(call, { apiVersion: 'v1', kind: 'Secret', namespace, name });
  const what = `secret ${namespace}/${name} in cluster ${cluster.name}`;
  if (!secret) throw new RotorError('cluster.not-found', { what: `there is no ${what}` });
  const carried = secret.metadata?.annotations?.[VERSION];
  if (carried === versionId) return;
  throw new RotorError('delivery.drifted', {
    what: `${what} carries ${carried === undefined ? 'no version of ours' : `version ${carried}`} instead of ${versionId}`,
    hint: 'Deliver to this Secret in the same policy, and let nobody else write it.',
  });
}
