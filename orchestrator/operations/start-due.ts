import type { Ledger } from '../../ledger/database.ts';
import { answerWaiting, waitingSource } from '../../ledger/event-requests.ts';
import type { Policy } from '../../ledger/policies.ts';
import { openRotationOf } from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from './orchestrator.ts';
import { createRotationOf } from './rotate.ts';

/**
 * Starts the rotation of a policy that is due, within `ledger` (a transaction): by its schedule, or because events have asked
 * for it, which it answers all at once.
 * @returns its id; undefined when one is open already, which then answers the events
 */
export async function startDueRotation(
  orchestrator: Orchestrator,
  ledger: Ledger,
  policy: Policy<PolicySpec>,
): Promise<string | undefined> {
  if (!policy.requestedAt) return createRotationOf(orchestrator, ledger, policy, 'schedule', 'scheduler');
  const source = (await waitingSource(ledger, policy.uid)) ?? 'event';
  const id = await createRotationOf(orchestrator, ledger, policy, 'event', source);
  await answerWaiting(ledger, policy.uid, id ?? (await openRotationOf(ledger, policy.uid))?.id);
  return id;
}
