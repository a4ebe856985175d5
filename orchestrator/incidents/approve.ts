import { RotorError } from '../../core/errors.ts';
import { addApproval, lockApprovals } from '../../ledger/approvals.ts';
import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import type { IncidentTarget } from '../../ledger/incident-targets.ts';
import { getIncident } from '../../ledger/incidents.ts';
import { type RunbookStepRow, stepsOfIncident } from '../../ledger/runbook-steps.ts';
import { type Orchestrator, qualified } from '../operations/orchestrator.ts';
import { releaseStep, wakeReleased } from './release.ts';
import { approve } from './runbook-schema.ts';

/** What became of an approval for one credential. */
export interface Approved {
  readonly policy: string;
  /** Place of the step in the runbook, from 0. */
  readonly step: number;
  readonly approvals: readonly string[];
  readonly needed: number;
  /** The steps after it go on. */
  readonly released: boolean;
}

export interface Approver {
  /** Who counts: one person once, however many tokens. */
  readonly person: string;
  /** For the audit trail: `token/<name>`. */
  readonly actor: string;
}

/**
 * Counts a person's approval of what an incident waits for.
 * @param policyName of this credential only; of all that wait when absent
 * @throws RotorError `ledger.not-found`; `ledger.conflict` when nothing waits for it, the person has approved before, the
 *   approval has expired or the incident has ended
 */
export async function approveIncident(
  orchestrator: Orchestrator,
  id: string,
  policyName: string | undefined,
  { person, actor }: Approver,
): Promise<readonly Approved[]> {
  const wanted = policyName === undefined ? undefined : qualified(policyName);
  const given: Approved[] = [];
  const rotations: (string | undefined)[] = [];
  await orchestrator.ledger.transaction(async (ledger) => {
    await lockApprovals(ledger, id);
    const waiting = await waitingFor(ledger, id, wanted);
    for (const { target, steps, step } of waiting) {
      if (!(await addApproval(ledger, step.id, person))) continue;
      const { people } = approve.parse(step.spec);
      const approvals = [...step.approvals.map((each) => each.person), person];
      const released = approvals.length >= people;
      await appendAudit(ledger, {
        actor,
        action: 'incident.approved',
        subject: `incident/${id}`,
        detail: {
          policy: target.policy,
          step: step.ordinal,
          person,
          approvals: approvals.length,
          needed: people,
        },
      });
      given.push({ policy: target.policy, step: step.ordinal, approvals, needed: people, released });
      if (released) {
        const at = { incidentId: id, ...target };
        rotations.push(await releaseStep(orchestrator, ledger, at, steps, step, 'approved'));
      }
    }
    if (given.length === 0)
      throw conflict(
        `${person} has approved incident ${id} already, and one person counts once`,
        'Somebody else has to approve it too: rotor describe incident tells how many are missing.',
      );
  });
  await orchestrator.faults?.reach('approve:recorded');
  for (const rotation of rotations) await wakeReleased(orchestrator, id, rotation);
  return given;
}

interface Waiting {
  readonly target: IncidentTarget;
  readonly steps: readonly RunbookStepRow[];
  readonly step: RunbookStepRow;
}

/** The approvals that may be given now. @throws RotorError `ledger.conflict` saying why there is none */
async function waitingFor(
  ledger: Ledger,
  id: string,
  wanted: string | undefined,
): Promise<readonly Waiting[]> {
  const incident = await getIncident(ledger, id);
  const targets = incident.targets.filter(({ policy }) => wanted === undefined || policy === wanted);
  if (wanted !== undefined && targets.length === 0)
    throw new RotorError('ledger.not-found', { what: `incident ${id} is not about policy ${wanted}` });
  const all = await stepsOfIncident(ledger, id);
  const waiting = targets.flatMap((target): Waiting[] => {
    const steps = all.get(target.policyUid) ?? [];
    const step = steps.find(({ kind, state }) => kind === 'approve' && state === 'waiting');
    return step?.beganAt && target.endedAt === undefined ? [{ target, steps, step }] : [];
  });
  const open = waiting.filter(({ step }) => !step.expired);
  if (open.length > 0) return open;
  const expired =
    waiting[0]?.step ??
    targets
      .flatMap(({ policyUid }) => all.get(policyUid) ?? [])
      .find(({ kind, expiresAt, state, approvals, spec }) => {
        const over = kind === 'approve' && expiresAt !== undefined && state !== 'waiting';
        return over && approvals.length < approve.parse(spec).people;
      });
  if (expired)
    throw conflict(
      `the approval of incident ${id} expired at ${expired.expiresAt?.toISOString() ?? '?'}`,
      'Report the leak again: that opens a new incident.',
    );
  if (incident.endedAt)
    throw conflict(`incident ${id} has ended: there is nothing to approve`, 'Nothing to do.');
  throw conflict(
    `incident ${id} does not wait for an approval now`,
    'Look at its steps: rotor describe incident. An approval opens when the steps before it are done.',
  );
}

function conflict(what: string, hint: string): RotorError {
  return new RotorError('ledger.conflict', { what, hint });
}
