import type { Call } from '../../core/call.ts';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import type { DeliveredSecret } from './delivered.ts';
import { belongsTo } from './secret-names.ts';
import { secretReferences } from './secret-references.ts';

/**
 * Makes the next run of a CronJob read a version that has a Secret of its own: whatever name of the Secret or of a version
 * of it its template has becomes the one that holds the version. Runs that have begun keep theirs.
 */
export async function nameInCronJob(
  call: Call,
  cluster: Cluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  secret: DeliveredSecret,
): Promise<void> {
  const ref = { apiVersion: 'batch/v1', kind: 'CronJob', namespace, name };
  const found = await cluster.read(call, ref);
  const references = secretReferences(found?.spec?.jobTemplate?.spec?.template?.spec).filter(
    (reference) => belongsTo(secret.logical, reference.name) && reference.name !== secret.name,
  );
  if (!found || references.length === 0) return;
  await cluster.jsonPatch(call, ref, [
    // Places of lists are told by their number: they hold for the very object that was looked at.
    { op: 'replace', path: '/metadata/resourceVersion', value: found.metadata?.resourceVersion },
    ...references.map(({ pointer }) => ({
      op: 'replace' as const,
      path: `/spec/jobTemplate/spec/template/spec${pointer}`,
      value: secret.name,
    })),
  ]);
}
