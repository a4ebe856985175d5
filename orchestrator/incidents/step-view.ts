import type { IncidentTarget } from '../../ledger/incident-targets.ts';
import type { MessageView } from '../../ledger/messages.ts';
import { MAX_TRIES } from '../../ledger/messages.ts';
import type { RunbookStepRow, StepState } from '../../ledger/runbook-steps.ts';
import { approve } from './runbook-schema.ts';
import { isDoneHere } from './turn.ts';

/** A step of a runbook, for people. */
export interface StepView {
  /** Place in the runbook, from 0. */
  readonly ordinal: number;
  readonly kind: string;
  readonly state: StepState;
  /** When it ended. */
  readonly at: Date | undefined;
  readonly tries: number;
  /** What went wrong, the last time. */
  readonly error: string | undefined;
  readonly result: Readonly<Record<string, unknown>> | undefined;
  readonly approval:
    | {
        readonly by: readonly { readonly person: string; readonly at: Date }[];
        readonly needed: number;
        /** People may approve until then; absent while steps before it are not done. */
        readonly expiresAt: Date | undefined;
      }
    | undefined;
}

/** What other parts did for a credential, that its runbook names as steps. */
export interface Mirrored {
  readonly target: Pick<IncidentTarget, 'policy' | 'containedAt' | 'endedAt' | 'result'>;
  readonly openedAt: Date;
  readonly rotationState: string | undefined;
  /** When steps of the rotation were done. */
  readonly doneAt: ReadonlyMap<string, Date>;
  readonly messages: readonly MessageView[];
}

/** Steps with their state: kept where they are worked off here, told by what other parts did for the others. */
export function stepViews(steps: readonly RunbookStepRow[], mirrored: Mirrored): readonly StepView[] {
  return steps.map((step): StepView => {
    const { ordinal, kind, tries, error, result, approvals, expiresAt } = step;
    const told = isDoneHere(step)
      ? { state: step.state, at: step.endedAt }
      : (stateOf(kind, mirrored) ?? { state: step.state, at: step.endedAt });
    const approval =
      kind === 'approve' ? { by: approvals, needed: approve.parse(step.spec).people, expiresAt } : undefined;
    return { ordinal, kind, ...told, tries, error, result, approval };
  });
}

type Told = Pick<StepView, 'state' | 'at'>;

/** @returns undefined when nothing is known but what is kept */
function stateOf(
  kind: string,
  { target, openedAt, rotationState, doneAt, messages }: Mirrored,
): Told | undefined {
  const done = (at: Date | undefined): Told | undefined => at && { state: 'done', at };
  const ofRotation = (at: Date | undefined): Told | undefined =>
    done(at) ?? (rotationState === 'needs-human' ? { state: 'failed', at: undefined } : undefined);
  switch (kind) {
    case 'contain':
      return done(target.containedAt ?? doneAt.get('revoke'));
    case 'rotate':
    case 'prove':
      return ofRotation(doneAt.get('prove'));
    case 'deliver':
      return ofRotation(doneAt.get('deliver'));
    case 'rollout':
      return ofRotation(doneAt.get('rollout'));
    case 'related':
      return done(openedAt);
    case 'notify':
      return notifyState(
        messages.filter(({ policy }) => policy === target.policy),
        target.endedAt,
      );
    default:
      return undefined;
  }
}

function notifyState(messages: readonly MessageView[], endedAt: Date | undefined): Told | undefined {
  if (messages.some(({ sentAt, tries }) => sentAt === null && tries >= MAX_TRIES))
    return { state: 'failed', at: undefined };
  const sent = messages.flatMap(({ sentAt }) => sentAt ?? []);
  const over = endedAt !== undefined && messages.length > 0 && sent.length === messages.length;
  return over ? { state: 'done', at: sent.at(-1) } : { state: 'waiting', at: undefined };
}
