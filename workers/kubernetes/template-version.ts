import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { type Cluster, type ClusterObject, nameOf, type ObjectRef } from './cluster.ts';
import type { DeliveredSecret } from './delivered.ts';
import { backwardChange, forwardChange, type TemplateChange, UNREAD_HINT } from './template-change.ts';

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
}

/** Controllers write a workload's status at any time: who comes second looks again. */
const ATTEMPTS = 5;

/** Gives the template the new version, once. @throws RotorError `cluster.invalid` when nothing in it names the Secret */
export async function toVersion(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  annotation: string,
  versionId: string,
  secret: DeliveredSecret,
): Promise<TemplateVersion> {
  return changeTemplate(call, cluster, ref, workload, (now) =>
    forwardChange(now, annotation, versionId, secret),
  );
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
  return changeTemplate(call, cluster, ref, workload, (now) =>
    backwardChange(now, annotation, versionId, logical),
  );
}

async function changeTemplate(
  call: Call,
  cluster: Cluster,
  ref: ObjectRef,
  workload: ClusterObject,
  decide: (now: ClusterObject) => TemplateChange,
): Promise<TemplateVersion> {
  let now = workload;
  for (let attempt = 1; ; attempt += 1) {
    const change = decide(now);
    if ('refused' in change)
      throw new RotorError('cluster.invalid', {
        what: `${nameOf(ref)} in cluster ${cluster.name}: ${change.refused}`,
        hint: UNREAD_HINT,
      });
    const { wanted } = change;
    if (change.operations.length === 0) return { workload: now, wanted };
    try {
      return { workload: await cluster.jsonPatch(call, ref, change.operations), wanted };
    } catch (error) {
      if (!(error instanceof RotorError) || error.code !== 'cluster.conflict' || attempt === ATTEMPTS)
        throw error;
      const again = await cluster.read(call, ref);
      if (!again) throw error;
      now = again;
    }
  }
}
