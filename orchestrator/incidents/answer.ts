import type { Ledger } from '../../ledger/database.ts';
import { keepTargetSpec, setTargetRotation } from '../../ledger/incidents.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { hastenRotation, openRotationOf } from '../../ledger/rotations.ts';
import { stepsOfOpenTarget } from '../../ledger/runbook-steps.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { createRotationOf } from '../operations/rotate.ts';
import { rotationSpecOf } from '../operations/rotation-spec.ts';
import { rotationHeld } from './runbook.ts';
import { rollout } from './runbook-schema.ts';

/**
 * The rotation that answers for a credential: a new one, or the one that is open already and goes on, knowing what leaked.
 * While an approval holds it up there is none; what is to be contained is contained all the same.
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
    const { spec } = await rotationSpecOf(ledger, policy, orchestrator.localStore);
    await keepTargetSpec(ledger, policyUid, spec);
    return undefined;
  }
  const made = await createRotationOf(orchestrator, ledger, policy, 'incident', requestedBy);
  const rotation = made ?? (await openRotationOf(ledger, policyUid))?.id;
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
