import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { versionedName } from './secret-names.ts';

/** Annotation of a delivered Secret: which version it carries. */
export const VERSION = 'rotor.dev/version';
export const MANAGED_BY = 'app.kubernetes.io/managed-by';
/** Highest fencing token that has written it. */
export const FENCE = 'rotor.dev/fence';

/** A delivered Secret: the name that the policy gives it, and the one under which pods find the version. */
export interface DeliveredSecret {
  readonly logical: string;
  /** The same under the stable style; a name of the version's own under the versioned one. */
  readonly name: string;
}

/**
 * A pod that starts now reads what the Secret carries now: before any is started, that must be the version it is started
 * for, be it under the stable name or under the version's own.
 * @throws RotorError `delivery.drifted`
 */
export async function assertDelivered(
  call: Call,
  cluster: Cluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  versionId: string,
): Promise<DeliveredSecret> {
  const refOf = (each: string) => ({ apiVersion: 'v1', kind: 'Secret', namespace, name: each });
  const stable = await cluster.read(call, refOf(name));
  if (carried(stable) === versionId) return { logical: name, name };
  const own = versionedName(name, versionId);
  if (carried(await readIfAllowed(call, cluster, refOf(own))) === versionId)
    return { logical: name, name: own };
  const at = `in cluster ${cluster.name}`;
  if (!stable)
    throw new RotorError('delivery.drifted', {
      what: `there is no secret ${namespace}/${name} ${at}, nor ${own} with version ${versionId}`,
      hint: 'Deliver to this Secret in the same policy, and let nobody else delete it.',
    });
  const other = carried(stable);
  throw new RotorError('delivery.drifted', {
    what: `secret ${namespace}/${name} ${at} carries ${other === undefined ? 'no version of ours' : `version ${other}`} instead of ${versionId}`,
    hint: 'Deliver to this Secret in the same policy, and let nobody else write it.',
  });
}

/**
 * The same for pods whose template nobody changes: under a name of the version's own they would never read it. On the way
 * back they are as they were then, since they never read the other one either.
 * @returns whether there is something to be moved
 * @throws RotorError `delivery.drifted`, `rollout.unhealthy`
 */
export async function isDeliveredInPlace(
  call: Call,
  cluster: Cluster,
  ref: { readonly namespace: string; readonly name: string },
  versionId: string,
  going: 'forward' | 'back',
): Promise<boolean> {
  const { name } = await assertDelivered(call, cluster, ref, versionId);
  if (name === ref.name) return true;
  if (going === 'back') return false;
  throw new RotorError('rollout.unhealthy', {
    what: `version ${versionId} is delivered as secret ${ref.namespace}/${name} in cluster ${cluster.name}, and nobody changes the name that the pods read, ${ref.name}`,
    hint: 'Deliver in style "stable", or move this consumer by `rolling` or `blueGreen`, which change the name.',
  });
}

function carried(secret: ClusterObject | undefined): string | undefined {
  return secret?.metadata?.annotations?.[VERSION];
}

/** Rights that name the stable Secret alone are enough for who delivers under it. */
async function readIfAllowed(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
): Promise<ClusterObject | undefined> {
  try {
    return await cluster.read(call, ref);
  } catch (error) {
    if (error instanceof RotorError && error.code === 'cluster.forbidden') return undefined;
    throw error;
  }
}
