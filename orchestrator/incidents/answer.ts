import type { Ledger } from '../../ledger/database.ts';
import { setTargetRotation, setTargetRotations } from '../../ledger/incidents.ts';
import { getPolicies, getPolicy } from '../../ledger/policies.ts';
import { hurryRotation, openRotationOf } from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { createRotationOf, createRotationsOf } from '../operations/rotate.ts';

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

export interface ToAnswer {
  readonly policyUid: string;
  /** `namespace/name` */
  readonly policy: string;
}

/**
 * The rotations that answer for many credentials, made in a few statements, however many they are.
 * @param holdMs the new ones begin after that long, unless they are let go earlier
 * @returns the ids of those that may begin now
 */
export async function answerTargets(
  orchestrator: Orchestrator,
  ledger: Ledger,
  targets: readonly ToAnswer[],
  requestedBy: string,
  holdMs: number | undefined,
): Promise<readonly string[]> {
  if (targets.length === 0) return [];
  const policies = await getPolicies<PolicySpec>(
    ledger,
    targets.map(({ policy }) => policy),
  );
  const made = await createRotationsOf(orchestrator, ledger, policies, requestedBy, holdMs);
  await setTargetRotations(ledger, [...made.values()]);
  const ready: string[] = holdMs === undefined ? [...made.values()] : [];
  for (const { policyUid, policy } of targets) {
    if (made.has(policyUid)) continue;
    const rotation = await answerTarget(orchestrator, ledger, policyUid, policy, requestedBy);
    if (rotation !== undefined) ready.push(rotation);
  }
  return ready;
}
