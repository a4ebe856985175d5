import type { Call } from '../../core/call.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from './cluster.ts';
import { coalesce, deliverable, pendingOf, wishesOf } from './coalescing.ts';

/**
 * The version with which a workload's pods start is an annotation of their template. What it was before is noted at the
 * workload, so that going back gives the very template of before, and with it the pods of before: none is restarted that
 * still runs.
 */
export interface TemplateVersion {
  /** The workload as it is now. */
  readonly workload: ClusterObject;
  /** The annotation's value that its pods must have; undefined: none, as before Rotor came. */
  readonly wanted: string | undefined;
  /** The template is still as it was, in words: other credentials may join. */
  readonly waiting?: string;
}

const previousOf = (annotation: string) => `previous.${annotation}`;

/**
 * Gives the template the new version, once, and with it what other rotations wish of the same workload.
 * @param windowMs how long it waits for such wishes
 */
export async function toVersion(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  annotation: string,
  versionId: string,
  windowMs = 0,
): Promise<TemplateVersion> {
  if (annotated(workload, annotation) === versionId) return { workload, wanted: versionId };
  const mine = { annotation, version: versionId };
  const wishes = wishesOf(workload);
  const turn = coalesce(wishes, mine, windowMs, call.clock.now());
  if (turn.do === 'wish') {
    const wished = { metadata: { annotations: { [pendingOf(annotation)]: turn.value } } };
    const patched = await cluster.patch(call, ref, wished);
    return { workload: patched, wanted: versionId, waiting: waitingFor(windowMs) };
  }
  if (turn.do === 'wait') return { workload, wanted: versionId, waiting: waitingFor(turn.forMs) };
  const all = [mine, ...(await deliverable(call, cluster, ref, turn.others))];
  const marks: Record<string, string | null> = {};
  const versions: Record<string, string> = {};
  for (const each of all) {
    const now = annotated(workload, each.annotation);
    if (now !== each.version) marks[previousOf(each.annotation)] = now ?? '';
    if (wishes.some((wish) => wish.annotation === each.annotation)) marks[pendingOf(each.annotation)] = null;
    versions[each.annotation] = each.version;
  }
  // The precondition: a wish that is taken back in this moment must not be fulfilled.
  const { resourceVersion } = workload.metadata ?? {};
  const seen = all.length > 1 ? { resourceVersion } : {};
  try {
    const patched = await cluster.patch(call, ref, {
      metadata: { ...seen, annotations: marks },
      spec: { template: { metadata: { annotations: versions } } },
    });
    return { workload: patched, wanted: versionId };
  } catch (thrown) {
    if (!(thrown instanceof RotorError) || thrown.code !== 'cluster.conflict' || all.length === 1)
      throw thrown;
    return { workload, wanted: versionId, waiting: 'it was changed in this moment and is looked at again' };
  }
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
): Promise<TemplateVersion> {
  const now = annotated(workload, annotation);
  const before: string | undefined = workload.metadata?.annotations?.[previousOf(annotation)];
  if (workload.metadata?.annotations?.[pendingOf(annotation)] !== undefined) {
    const taken = { metadata: { annotations: { [pendingOf(annotation)]: null } } };
    return backToVersion(call, cluster, ref, await cluster.patch(call, ref, taken), annotation, versionId);
  }
  if (now === versionId || before === undefined || now === (before || undefined))
    return { workload, wanted: now };
  const patched = await cluster.patch(call, ref, {
    spec: { template: { metadata: { annotations: { [annotation]: before === '' ? null : before } } } },
  });
  return { workload: patched, wanted: before || undefined };
}

function annotated(workload: ClusterObject, annotation: string): string | undefined {
  return workload.spec?.template?.metadata?.annotations?.[annotation];
}
