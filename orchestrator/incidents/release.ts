import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import { releaseTarget } from '../../ledger/incident-targets.ts';
import { endStep, type RunbookStepRow, type RunbookTarget } from '../../ledger/runbook-steps.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { answerTarget } from './answer.ts';
import { containmentOf, rotationHeld } from './runbook.ts';

/** One credential whose runbook goes on. */
export type Released = Pick<RunbookTarget, 'incidentId' | 'policyUid' | 'policy' | 'rotationId'>;

/**
 * Ends an approval within a transaction, and lets what it held up begin: containment up to the next approval, and the
 * rotation unless another approval holds it up.
 * @param because `expired`: the runbook says that it goes on without
 * @returns the rotation to be woken
 */
export async function releaseStep(
  orchestrator: Orchestrator,
  ledger: Ledger,
  { incidentId, policyUid, policy, rotationId }: Released,
  steps: readonly RunbookStepRow[],
  step: RunbookStepRow,
  because: 'approved' | 'expired',
): Promise<string | undefined> {
  const result = because === 'expired' ? { note: 'expired; the runbook says to continue' } : {};
  if (!(await endStep(ledger, step.id, 'done', { result }))) return undefined;
  await appendAudit(ledger, {
    actor: 'runbooks',
    action: because === 'approved' ? 'incident.released' : 'incident.released-by-expiry',
    subject: `incident/${incidentId}`,
    detail: { policy, step: step.ordinal },
  });
  const after = steps.filter(({ ordinal }) => ordinal > step.ordinal);
  const next = after.find(({ kind, state }) => kind === 'approve' && state === 'waiting');
  const released = after.filter(({ ordinal }) => next === undefined || ordinal < next.ordinal);
  if (released.some(({ kind }) => kind === 'contain'))
    await releaseTarget(ledger, incidentId, policyUid, containmentOf(released));
  if (rotationId !== undefined || rotationHeld(after.filter(isOpen))) return undefined;
  return answerTarget(orchestrator, ledger, policyUid, policy, `incident/${incidentId}`);
}

function isOpen({ kind, state }: RunbookStepRow): boolean {
  return kind !== 'approve' || state === 'waiting';
}

/** Wakes who contains and who rotates; should nobody hear it, the sweeps find the work. */
export async function wakeReleased(
  orchestrator: Orchestrator,
  incidentId: string,
  rotation: string | undefined,
): Promise<void> {
  await orchestrator.wakeIncident(incidentId);
  if (rotation !== undefined) await orchestrator.wake(rotation);
}
