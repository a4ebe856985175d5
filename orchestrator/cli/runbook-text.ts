import { formatDuration } from '../../core/duration.ts';
import type { IncidentView } from '../incidents/describe.ts';
import type { Preview } from '../incidents/dry-run.ts';
import type { StepView } from '../incidents/step-view.ts';
import { tableOf } from './output.ts';

/** The steps of the runbooks of an incident, each with what became of it; nothing where none has any. */
export function stepsText({ targets, openedAt }: IncidentView): string {
  const since = new Date(openedAt).getTime();
  const rows = targets.flatMap(({ policy, steps }) =>
    steps.map((step) => [
      policy,
      step.ordinal + 1,
      step.kind,
      step.state,
      afterText(step, since),
      noteOf(step),
    ]),
  );
  return rows.length === 0 ? '' : tableOf(['credential', '#', 'step', 'state', 'after', 'note'], rows);
}

function afterText({ at }: StepView, since: number): string {
  return at ? formatDuration(Math.max(0, new Date(at).getTime() - since)) : '-';
}

function noteOf({ approval, error, tries, state }: StepView): string {
  const notes: string[] = [];
  if (approval) {
    const by = approval.by.map(({ person }) => person).join(', ');
    notes.push(`${approval.by.length} of ${approval.needed} approved${by ? `: ${by}` : ''}`);
    if (approval.expiresAt && state === 'waiting')
      notes.push(`until ${new Date(approval.expiresAt).toISOString()}`);
  }
  if (error) notes.push(error);
  if (tries > 1 || (error && tries > 0)) notes.push(`${tries} tries`);
  return notes.join('; ') || '-';
}

/** What would be done, credential by credential and step by step. */
export function previewText(previews: readonly Preview[]): string {
  if (previews.length === 0) return 'no credential of ours: nothing would be done';
  return previews.map(one).join('\n\n');
}

const ANSWERS = {
  rotate: 'would be rotated',
  prove: 'was revoked already; its proof would be looked up',
  watch: 'would be put on record only',
} as const;

function one(preview: Preview): string {
  const { policy, answer, matchedBy, mode, revokeInMs, runbook, environment, approvals, steps, related } =
    preview;
  const deadline =
    mode === 'revoke-first'
      ? 'revoked first'
      : `consumers first${revokeInMs === undefined ? '' : `, contained after ${formatDuration(revokeInMs)}`}`;
  const facts = [
    `found by ${matchedBy.join(', ')}`,
    ...(answer === 'rotate' ? [deadline] : []),
    `runbook ${runbook ?? '(built in)'}`,
    ...(environment === undefined ? [] : [`environment ${environment}`]),
  ];
  const rows = steps.map(({ ordinal, kind, fits, what, held }) => [
    ordinal + 1,
    kind,
    fits ? (held ? 'after approval' : 'yes') : 'no',
    what,
  ]);
  return [
    `${policy}: ${ANSWERS[answer]}; ${facts.join('; ')}`,
    tableOf(['#', 'step', 'would be done', 'what'], rows),
    `approvals: ${approvals.length === 0 ? 'none' : approvals.map((people) => `${people} people`).join(', then ')}`,
    `blast radius: ${related.join(', ') || 'nothing shares its store path, account or consumers'}`,
  ].join('\n');
}
