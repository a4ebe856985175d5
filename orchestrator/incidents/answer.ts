import type { Ledger } from '../../ledger/database.ts';
import { setTargetRotation } from '../../ledger/incidents.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { hurryRotation, openRotationOf } from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { createRotationOf } from '../operations/rotate.ts';

/**
 * The rotation that answers for a credential: a new one, or the one that is open already and goes on, knowing what leaked
 * and waiting for nothing that is only cautious.
 * @returns its id; undefined when there is none to wake (it just ended, and the next look starts another)
 */
export async function answerTarget(
  orchestrator: Orchestrator,
  ledger: Ledger,
  policyUid: string,
  policyName: string,
  requestedBy: string,
): Promise<string | undefined> {
  const policy = await getPolicy<PolicySpec>(ledger, policyName);
  const made = await createRotationOf(orchestrator, ledger, policy, 'incident', requestedBy);
  const open = made === undefined ? await openRotationOf(ledger, policyUid) : undefined;
  if (open) await hurryRotation(ledger, open.id);
  const rotation = made ?? open?.id;
  if (rotation !== undefined) await setTargetRotation(ledger, policyUid, rotation);
  return rotation;
}
