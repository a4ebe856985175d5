import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { asApplied } from '../../kubernetes/field-ownership.ts';
import { compare } from './compare.ts';
import { type Desired, objectOf } from './desired.ts';
import { assertFence, assertOurs } from './ours.ts';

/** Two that create at once are told apart by the API server; who comes second looks at what the first has made. */
const LOOKS = 3;

/**
 * Makes one Secret what it shall be. Creating is a request of its own, which never overwrites, and every other write is
 * bound to the version that was looked at: a worker that slept in between writes over nobody.
 * @throws RotorError `cluster.conflict`, `cluster.not-owned`, `cluster.invalid`, `store.fenced`
 */
export async function writeSecret(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  desired: Desired,
  options: { readonly adopt: boolean },
): Promise<void> {
  for (let look = 1; ; look += 1) {
    const existing = await cluster.read(call, ref);
    if (existing) return change(call, cluster, ref, existing, desired, options);
    try {
      await cluster.create(call, objectOf(ref, desired, { fence: call.fence }));
      return;
    } catch (error) {
      const raced = error instanceof RotorError && error.code === 'cluster.conflict';
      if (!raced || look === LOOKS) throw error;
    }
  }
}

async function change(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  existing: ClusterObject,
  desired: Desired,
  options: { readonly adopt: boolean },
): Promise<void> {
  assertOurs(cluster, ref, existing, desired, options);
  assertFence(call, ref, existing);
  try {
    const managedFields = asApplied(existing);
    const { resourceVersion } = existing.metadata ?? {};
    const seen = managedFields
      ? await cluster.mergePatch(call, ref, { metadata: { resourceVersion, managedFields } })
      : existing;
    await cluster.apply(call, objectOf(ref, desired, { fence: call.fence, seen }), true);
  } catch (error) {
    // Where we may not write at all no worker of ours can have written either: what is there and right is good enough.
    const forbidden = error instanceof RotorError && error.code === 'cluster.forbidden';
    if (!forbidden || compare(existing, desired).length > 0) throw error;
  }
}
