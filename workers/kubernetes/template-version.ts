import type { Call } from '../../core/call.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import { type Cluster, type ClusterObject, nameOf, type ObjectRef } from '../../core/kubernetes/cluster.ts';
import { coalesce, deliverable, wishesOf } from './coalescing.ts';
import type { DeliveredSecret } from './delivered.ts';
import {
  annotated,
  backwardChange,
  forwardChange,
  type NewVersion,
  type TemplateChange,
  UNREAD_HINT,
  wishChange,
} from './template-change.ts';

/**
 * The version with which a workload's pods start is an annotation of their template; under the versioned style the names of
 * Secrets in it change with it, in one write. What both were before is noted at the workload, so that going back gives the
 * very template of before, and with it the pods of before: none is restarted that still runs.
 */
export interface TemplateVersion {
  /** The workload as it is now. */
  readonly workload: ClusterObject;
  /** The annotation's value that its pods must have; undefined: none, as before Rotor came. */
  readonly wanted: string | undefined;
  /** The template is still as it was, in words: other credentials may join. */
  readonly waiting?: string;
}

/** Controllers write a workload's status at any time: who comes second looks again. */
const ATTEMPTS = 5;

/**
 * Gives the template the new version, once, and with it what other rotations wish of the same workload.
 * @param windowMs how long it waits for such wishes
 * @throws RotorError `cluster.invalid` when nothing in it names the Secret
 */
export async function toVersion(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  annotation: string,
  versionId: string,
  secret: DeliveredSecret,
  windowMs = 0,
): Promise<TemplateVersion> {
  const mine: NewVersion = { annotation, versionId, secret };
  return changeTemplate(call, cluster, ref, workload, async (now) => {
    if (annotated(now, annotation) === versionId) return { change: forwardChange(now, mine) };
    const turn = coalesce(wishesOf(now), { annotation, version: versionId }, windowMs, call.clock.now());
    if (turn.do === 'wait')
      return { change: { wanted: versionId, operations: [] }, waiting: waitingFor(turn.forMs) };
    if (turn.do === 'wish')
      return { change: wishChange(now, mine, turn.value), waiting: waitingFor(windowMs) };
    const others = await deliverable(call, cluster, ref, turn.others);
    const joining = others.filter((other) => !('refused' in forwardChange(now, other)));
    return { change: forwardChange(now, mine, joining) };
  });
}

function waitingFor(ms: number): string {
  return `other credentials may join its rollout for ${formatDuration(ms)}`;
}

/** Gives the template what it had before {@link toVersion}. A workload that never took a version stays untouched. */
export async function backToVersion(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  annotation: string,
  versionId: string,
  logical: string,
): Promise<TemplateVersion> {
  return changeTemplate(call, cluster, ref, workload, async (now) => ({
    change: backwardChange(now, annotation, versionId, logical),
  }));
}

async function changeTemplate(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  decide: (now: ClusterObject) => Promise<{ readonly change: TemplateChange; readonly waiting?: string }>,
): Promise<TemplateVersion> {
  let now = workload;
  for (let attempt = 1; ; attempt += 1) {
    const { change, ...waiting } = await decide(now);
    if ('refused' in change)
      throw new RotorError('cluster.invalid', {
        what: `${nameOf(ref)} in cluster ${cluster.name}: ${change.refused}`,
        hint: UNREAD_HINT,
      });
    const { wanted } = change;
    if (change.operations.length === 0) return { workload: now, wanted, ...waiting };
    try {
      return { workload: await cluster.jsonPatch(call, ref, change.operations), wanted, ...waiting };
    } catch (error) {
      if (!(error instanceof RotorError) || attempt === ATTEMPTS) throw error;
      // What a patch removes may be gone by now, which is answered before its precondition is looked at.
      if (error.code !== 'cluster.conflict' && error.code !== 'cluster.invalid') throw error;
      const again = await cluster.read(call, ref);
      if (!again) throw error;
      const changed = again.metadata?.resourceVersion !== now.metadata?.resourceVersion;
      if (error.code === 'cluster.invalid' && !changed) throw error;
      now = again;
    }
  }
}
