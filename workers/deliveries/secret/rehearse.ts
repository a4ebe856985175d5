import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { VERSION } from '../../kubernetes/delivered.ts';
import { versionedName } from '../../kubernetes/secret-names.ts';
import type { OtherPolicy } from '../delivery.ts';
import { objectOf, rehearsalOf } from './desired.ts';
import { assertOurs } from './ours.ts';
import type { SecretSpec } from './spec.ts';

interface Known {
  readonly current: Credential | undefined;
  readonly others: OtherPolicy | undefined;
}

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
  { current, others }: Known,
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
  if (existing) {
    assertOurs(cluster, ref, existing, rehearsal, spec);
    await assertNoOthers(cluster, ref, existing, spec, others);
  }
  await cluster.apply(call, objectOf(ref, rehearsal, {}), existing !== undefined, 'dry-run');
}

/** Two policies that deliver under one name would each undo what the other does, and say that it has drifted. */
async function assertNoOthers(
  cluster: Cluster,
  ref: ObjectRef,
  existing: ClusterObject,
  { context }: SecretSpec,
  others: OtherPolicy | undefined,
): Promise<void> {
  const carried = existing.metadata?.annotations?.[VERSION];
  const isTarget: Parameters<OtherPolicy>[1] = ({ kind, spec }) => {
    const other = spec as Partial<SecretSpec>;
    const same = other.name === ref.name && other.namespaces?.includes(ref.namespace) === true;
    return kind === 'secret' && same && other.context === context && other.style !== 'versioned';
  };
  const other = carried === undefined ? undefined : await others?.(carried, isTarget);
  if (other === undefined) return;
  throw new RotorError('cluster.not-owned', {
    what: `${nameOf(ref)} in cluster ${cluster.name} is what RotationPolicy ${other} delivers to`,
    hint: 'Deliver under another name, or take the entry out of the other policy (or suspend it).',
  });
}
