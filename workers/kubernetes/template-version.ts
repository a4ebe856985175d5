import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject, ObjectRef } from './cluster.ts';

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
}

export const previousOf = (annotation: string) => `previous.${annotation}`;

/** Gives the template the new version, once. */
export async function toVersion(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  annotation: string,
  versionId: string,
): Promise<TemplateVersion> {
  const now = annotated(workload, annotation);
  if (now === versionId) return { workload, wanted: versionId };
  const patched = await cluster.patch(call, ref, {
    metadata: { annotations: { [previousOf(annotation)]: now ?? '' } },
    spec: { template: { metadata: { annotations: { [annotation]: versionId } } } },
  });
  return { workload: patched, wanted: versionId };
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
