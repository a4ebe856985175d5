import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { type Cluster, nameOf } from '../../../core/kubernetes/cluster.ts';
import { MANAGED_BY, VERSION } from '../../kubernetes/delivered.ts';
import { versionedName } from '../../kubernetes/secret-names.ts';
import { readersIn } from '../../kubernetes/secret-readers.ts';
import type { Collected } from '../delivery.ts';
import type { SecretSpec } from './spec.ts';

/**
 * Removes the Secrets of dead versions, each only if it is ours and neither a pod that runs nor a template of pods to come
 * names it. Each is asked for by its name: no right to list Secrets is needed.
 */
export async function collectVersions(
  call: Call,
  cluster: Cluster,
  { name, namespaces }: SecretSpec,
  dead: readonly string[],
): Promise<Collected> {
  const removed: string[] = [];
  const kept: string[] = [];
  for (const namespace of namespaces) {
    for (const versionId of dead) {
      const ref = { apiVersion: 'v1', kind: 'Secret', namespace, name: versionedName(name, versionId) };
      const found = await cluster.read(call, ref);
      const { labels, annotations, uid = '', resourceVersion = '' } = found?.metadata ?? {};
      if (!found || labels?.[MANAGED_BY] !== 'rotor' || annotations?.[VERSION] !== versionId) continue;
      try {
        const [reader] = await readersIn(call, cluster, namespace, ref.name);
        if (reader) {
          kept.push(`${nameOf(ref)}: ${reader} reads it`);
          continue;
        }
        if (await cluster.remove(call, ref, { uid, resourceVersion })) removed.push(nameOf(ref));
      } catch (error) {
        if (!(error instanceof RotorError)) throw error;
        kept.push(`${nameOf(ref)}: ${error.message}`);
      }
    }
  }
  return { removed, kept };
}
