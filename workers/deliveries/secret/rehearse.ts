import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import type { Cluster } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { versionedName } from '../../kubernetes/secret-names.ts';
import { objectOf, rehearsalOf } from './desired.ts';
import { assertOurs } from './ours.ts';
import type { SecretSpec } from './spec.ts';

/**
 * Lets the API server rehearse the delivery into one namespace (`dryRun`): permission, admission and the namespace itself
 * are checked before anything is changed.
 * @throws RotorError terminal, naming verb and object
 */
export async function rehearse(
  call: Call,
  cluster: Cluster,
  spec: SecretSpec,
  namespace: string,
  current: Credential | undefined,
): Promise<void> {
  const secret = { apiVersion: 'v1', kind: 'Secret', namespace };
  const rehearsal = rehearsalOf(spec, current);
  if (spec.style === 'versioned') {
    const ref = { ...secret, name: versionedName(spec.name, 'rehearsal') };
    await cluster.create(call, objectOf(ref, rehearsal, {}), 'dry-run');
    for (const verb of ['get', 'patch'] as const)
      await assertAllowed(call, cluster, verb, { ...ref, name: '' });
    return;
  }
  const ref = { ...secret, name: spec.name };
  const existing = await cluster.read(call, ref);
  if (existing) assertOurs(cluster, ref, existing, rehearsal, spec);
  await cluster.apply(call, objectOf(ref, rehearsal, {}), existing !== undefined, 'dry-run');
}
