import type { Call } from '../../core/call.ts';
import { formatDuration, parseDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { pluralOf } from '../../core/kubernetes/cluster-errors.ts';
import type { NotYet } from '../rollouts/rollout.ts';

/** An object by which an operator is told to do something. */
export interface Asked {
  readonly ref: ObjectRef;
  /** As {@link DeliverySession.target}. */
  readonly target: string;
  /** Who acts on it: `External Secrets`. */
  readonly operator: string;
  /** How long it may take. */
  readonly timeout: string;
}

/** @throws RotorError `cluster.not-found` */
export async function read(call: Call, cluster: Cluster, asked: Asked): Promise<ClusterObject> {
  const found = await cluster.read(call, asked.ref);
  if (found) return found;
  throw notThere(cluster, asked);
}

/** The API server says the same of an object that isn't there and of a kind that it doesn't know. */
export function notThere({ name: cluster }: Cluster, { ref, target, operator }: Asked): RotorError {
  const definition = `${pluralOf(ref.kind)}.${ref.apiVersion.split('/')[0]}`;
  return new RotorError('cluster.not-found', {
    what: `${target}: there is none in cluster ${cluster}, or ${operator} is not installed there, or does not serve ${ref.apiVersion}`,
    hint: `Look with: kubectl --context ${cluster} get crd ${definition}; kubectl --context ${cluster} -n ${ref.namespace} get ${pluralOf(ref.kind)}`,
  });
}

/**
 * What is still to be waited for, with what the operator says of it.
 * @param since when it was asked, not when the step began: what was delivered may be gone for a moment long after
 * @throws RotorError `delivery.failed` when it has taken too long
 */
export function stillMissing(
  call: Call,
  { ref, target, operator, timeout }: Asked,
  since: Date,
  lacking: string,
  trouble: string | undefined,
): NotYet {
  const seen = `${target}: ${lacking}${trouble === undefined ? '' : `; ${operator} says ${trouble}`}`;
  const waitedMs = call.clock.now().getTime() - since.getTime();
  if (waitedMs <= (parseDuration(timeout) ?? 0)) return { notYet: seen };
  throw new RotorError('delivery.failed', {
    what: `${seen}, ${formatDuration(waitedMs)} after it was asked`,
    hint: `See that ${operator} runs and watches namespace ${ref.namespace}: kubectl -n ${ref.namespace} describe ${ref.kind.toLowerCase()} ${ref.name}`,
  });
}
