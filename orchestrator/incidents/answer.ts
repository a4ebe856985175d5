import type { Ledger } from '../../ledger/database.ts';
import { hastenRotation, hurryRotation } from '../../ledger/incident-rotations.ts';
import {
  holderOf,
  keepTargetSpec,
  setTargetRotation,
  setTargetRotations,
} from '../../ledger/incident-targets.ts';
import { getPolicies, getPolicy } from '../../ledger/policies.ts';
import { openRotationOf, resumeRotation } from '../../ledger/rotations.ts';
import { stepsOfOpenTarget, withSteps } from '../../ledger/runbook-steps.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { createRotationOf, createRotationsOf } from '../operations/rotate.ts';
import { fromLedger, rotationSpecOf } from '../operations/rotation-spec.ts';
import { rotationHeld } from './runbook.ts';
import { rollout } from './runbook-schema.ts';
import { mayTakeOver } from './take-over.ts';

/**
 * The rotation that answers for a credential: a new one, or the one that is open already and goes on, knowing what leaked
 * and waiting for nothing that is only cautious; one that waits for a person goes on too where it is known why it stopped. While an approval holds it up there is none; what is to be contained is
 * contained all the same.
 * @returns its id; undefined when there is none to wake (it is held up, or it just ended and the next look starts another)
 */
export async function answerTarget(
  orchestrator: Orchestrator,
  ledger: Ledger,
  policyUid: string,
  policyName: string,
  requestedBy: string,
): Promise<string | undefined> {
  const policy = await getPolicy<PolicySpec>(ledger, policyName);
  const steps = await stepsOfOpenTarget(ledger, policyUid);
  if (rotationHeld(steps.filter(({ kind, state }) => kind !== 'approve' || state === 'waiting'))) {
    const { spec } = await rotationSpecOf(fromLedger(ledger), policy, orchestrator.localStore);
    await keepTargetSpec(ledger, policyUid, spec);
    return undefined;
  }
  const made = await createRotationOf(orchestrator, ledger, policy, 'incident', requestedBy);
  const open = made === undefined ? await openRotationOf(ledger, policyUid) : undefined;
  if (open) {
    // Once for each incident: should it stop again, a person is asked.
    const met = (await holderOf(ledger, policyUid))?.rotationId === open.id;
    if (!met && mayTakeOver(open))
      await resumeRotation(ledger, open.id, requestedBy, policy.spec.deadlineMs, true);
    await hurryRotation(ledger, open.id);
  }
  const rotation = made ?? open?.id;
  if (rotation === undefined) return undefined;
  await setTargetRotation(ledger, policyUid, rotation);
  const fast = steps.find(({ kind }) => kind === 'rollout');
  if (fast) {
    const { waves, maxMoving, deadline } = rollout.parse(fast.spec);
    const moving = waves === 'all-at-once' ? maxMoving : undefined;
    await hastenRotation(ledger, rotation, { maxMoving: moving, deadlineMs: deadline });
  }
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
  // An approval or a fast rollout is a matter of each single one.
  const apart = await withSteps(
    ledger,
    targets.map(({ policyUid }) => policyUid),
    ['approve', 'rollout'],
  );
  const plain = targets.filter(({ policyUid }) => !apart.has(policyUid));
  const policies = await getPolicies<PolicySpec>(
    ledger,
    plain.map(({ policy }) => policy),
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
