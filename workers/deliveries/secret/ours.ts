import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { FENCE, MANAGED_BY } from '../../kubernetes/delivered.ts';
import { isSetByUs } from '../../kubernetes/field-ownership.ts';
import { compare } from './compare.ts';
import type { Desired } from './desired.ts';

/**
 * A Secret that somebody else made, or that can't become what it shall be, is never taken over by surprise. One that only
 * lost our label, and still carries our fence, is ours; one that somebody else has labelled as theirs is not.
 * @throws RotorError `cluster.not-owned`, `cluster.invalid`, `cluster.conflict`
 */
export function assertOurs(
  cluster: Cluster,
  ref: ObjectRef,
  existing: ClusterObject,
  desired: Desired,
  { adopt }: { readonly adopt: boolean },
): void {
  const what = `${nameOf(ref)} in cluster ${cluster.name}`;
  const manager = existing.metadata?.labels?.[MANAGED_BY];
  const unlabelled = manager === undefined && isSetByUs(existing, ['metadata', 'annotations', FENCE]);
  if (manager !== 'rotor' && !unlabelled && !adopt)
    throw new RotorError('cluster.not-owned', { what: `${what} was not made by Rotor` });
  if (existing.metadata?.deletionTimestamp !== undefined)
    throw new RotorError('cluster.conflict', {
      what: `${what} is being deleted, and stays only until ${existing.metadata.finalizers?.join(', ') ?? 'that'} is done`,
      hint: 'Remove the named finalizers if nobody else will; Rotor makes the Secret anew when it is gone.',
    });
  if (existing.type !== desired.type)
    throw new RotorError('cluster.invalid', {
      what: `${what} has type ${existing.type} instead of ${desired.type}, and a type never changes`,
      hint: 'Correct `type` in the policy, or delete the Secret so that Rotor makes it anew.',
    });
  if (existing.immutable !== true) return;
  if (!desired.immutable)
    throw new RotorError('cluster.invalid', {
      what: `${what} is immutable`,
      hint: 'Deliver under another name, or delete it so that Rotor makes it anew.',
    });
  const keys = compare(existing, desired).filter(({ what: told }) => told.startsWith('key '));
  if (keys.length > 0)
    throw new RotorError('cluster.invalid', {
      what: `${what} is immutable and holds something else: ${keys.map(({ what: told }) => told).join(', ')}`,
      hint: 'Delete it so that Rotor makes it anew; pods that run keep what they have read.',
    });
}

/**
 * @throws RotorError `store.fenced` when a later worker has written it. A fence that we didn't set ourselves is no fence: an
 *   edit by hand must not keep us out for ever.
 */
export function assertFence(call: Call, ref: ObjectRef, existing: ClusterObject): void {
  const seen = existing.metadata?.annotations?.[FENCE] ?? '';
  if (!/^\d{1,19}$/.test(seen) || BigInt(seen) <= call.fence) return;
  if (!isSetByUs(existing, ['metadata', 'annotations', FENCE])) return;
  throw new RotorError('store.fenced', { what: `${nameOf(ref)}: a later worker has written it` });
}
