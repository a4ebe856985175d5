import type { IncidentTarget } from '../../ledger/incident-targets.ts';
import { getIncident, type Incident, type IncidentReport, incidentReports } from '../../ledger/incidents.ts';
import { inquiriesOf } from '../../ledger/inquiries.ts';
import { readJournal } from '../../ledger/journal.ts';
import { relatedPolicies } from '../../ledger/matching.ts';
import { type MessageView, messagesOf } from '../../ledger/messages.ts';
import { getRotation } from '../../ledger/rotations.ts';
import { type RunbookStepRow, stepsOfIncident } from '../../ledger/runbook-steps.ts';
import { positionOf } from '../../workers/saga/position.ts';
import { proofOf, type RotationView } from '../operations/describe.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type StepView, stepViews } from './step-view.ts';
import { needsOf } from './take-over.ts';

/** When what happened to one credential. Absent: not yet, or not needed. */
export interface Timeline {
  readonly reported: Date;
  readonly contained?: Date | undefined;
  readonly reissued?: Date | undefined;
  readonly delivered?: Date | undefined;
  readonly rolledOut?: Date | undefined;
  readonly revoked?: Date | undefined;
  readonly proven?: Date | undefined;
}

export type TargetView = Omit<IncidentTarget, 'policyUid'> & {
  readonly rotation:
    | {
        readonly state: string;
        readonly step: string | undefined;
        /** Where it waits for a person: why, and the command that settles it. */
        readonly needs?: string | undefined;
      }
    | undefined;
  readonly timeline: Timeline;
  readonly proof: RotationView['proof'];
  /** Other policies that share its store path, account or consumers. */
  readonly related: readonly string[];
  /** Of the runbook that its policy names; none for the built-in one. */
  readonly steps: readonly StepView[];
};

export type IncidentView = Omit<Incident, 'targets' | 'reports'> & {
  readonly targets: readonly TargetView[];
  readonly reports: readonly IncidentReport[];
  /** What the sources were asked for, and how that stands. */
  readonly inquiries: Awaited<ReturnType<typeof inquiriesOf>>;
  /** What became of the notifications that were tried. */
  readonly messages: readonly MessageView[];
};

/** Everything that is known of an incident: reports, targets, what happened when, proofs, blast radius. */
export async function describeIncident(orchestrator: Orchestrator, id: string): Promise<IncidentView> {
  const incident = await getIncident(orchestrator.ledger, id);
  const reports = await incidentReports(orchestrator.ledger, id);
  const messages = await messagesOf(orchestrator.ledger, id);
  const inquiries = await inquiriesOf(orchestrator.ledger, id);
  const targets: TargetView[] = [];
  const steps = await stepsOfIncident(orchestrator.ledger, id);
  for (const target of incident.targets) {
    const around = { openedAt: incident.openedAt, messages, steps: steps.get(target.policyUid) ?? [] };
    targets.push(await viewOf(orchestrator, target, around));
  }
  return { ...incident, targets, reports, inquiries, messages };
}

interface Around {
  readonly openedAt: Date;
  readonly messages: IncidentView['messages'];
  readonly steps: readonly RunbookStepRow[];
}

async function viewOf(
  { ledger }: Orchestrator,
  target: IncidentTarget,
  { openedAt, messages, steps }: Around,
): Promise<TargetView> {
  const { policyUid, ...view } = target;
  const related = (await relatedPolicies(ledger, policyUid)).map((each) => each.policy);
  const reported = openedAt;
  if (target.rotationId === undefined)
    return {
      ...view,
      rotation: undefined,
      timeline: { reported, contained: target.containedAt },
      proof: undefined,
      related,
      steps: stepViews(steps, { target, openedAt, messages, rotationState: undefined, doneAt: new Map() }),
    };
  const rotation = await getRotation(ledger, target.rotationId);
  const { state, step } = rotation;
  const needs = needsOf(rotation);
  const journal = await readJournal(ledger, target.rotationId);
  const { doneAt } = positionOf(journal);
  return {
    ...view,
    rotation: { state, step, ...(needs === undefined ? {} : { needs }) },
    timeline: {
      reported,
      contained: target.containedAt,
      reissued: doneAt.get('install'),
      delivered: doneAt.get('deliver'),
      rolledOut: doneAt.get('rollout'),
      revoked: doneAt.get('revoke'),
      proven: doneAt.get('prove'),
    },
    proof: proofOf(journal),
    related,
    steps: stepViews(steps, { target, openedAt, messages, rotationState: state, doneAt }),
  };
}
