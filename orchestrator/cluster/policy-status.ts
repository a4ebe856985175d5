import type { Outlook, OutlookRotation } from '../../ledger/outlook.ts';
import type { CustomResource } from './custom-resource.ts';
import type { Reading } from './reading.ts';
import type { RotateNow } from './rotate-now.ts';
import { conditionsOf, instant, type PolicyState, type Status, type Verdict } from './status.ts';

export interface PolicyFacts {
  readonly resource: CustomResource;
  readonly reading: Reading;
  /** Undefined when the ledger has no such policy yet. */
  readonly outlook: Outlook<{ readonly suspend?: boolean }> | undefined;
  /** What became of the annotation that asks for a rotation. */
  readonly rotateNow: RotateNow;
}

/** The status of a RotationPolicy: facts to words. */
export function policyStatus(facts: PolicyFacts, now: Date): Status {
  const { resource, outlook, rotateNow } = facts;
  const verdicts = [accepted(facts), ready(facts), rotating(facts)];
  const last = outlook?.rotations[0];
  return {
    observedGeneration: resource.generation,
    conditions: conditionsOf(verdicts, resource.status.conditions, resource.generation, now),
    state: stateOf(facts),
    ...(last
      ? {
          lastRotation: {
            id: last.id,
            state: last.state,
            ...(last.endedAt ? { endedAt: instant(last.endedAt) } : {}),
          },
        }
      : {}),
    ...(outlook?.lastRotatedAt ? { lastRotatedAt: instant(outlook.lastRotatedAt) } : {}),
    ...(outlook?.nextDueAt && !outlook.paused ? { nextRotationAt: instant(outlook.nextDueAt) } : {}),
    ...(outlook?.currentVersion ? { credentialVersion: outlook.currentVersion } : {}),
    ...(rotateNow.answered === undefined ? {} : { lastRotateNow: rotateNow.answered }),
  };
}

/** The condition Accepted of any kind. */
export function accepted({ reading, outlook }: Pick<PolicyFacts, 'reading' | 'outlook'>): Verdict {
  if (reading.accepted) {
    return { type: 'Accepted', status: 'True', reason: 'Applied', message: 'it is in force as written' };
  }
  const still = outlook ? '; what was accepted before stays in force' : '';
  const message = `${reading.problems.join('; ')}${still}`;
  return { type: 'Accepted', status: 'False', reason: reading.reason, message };
}

function ready({ reading, outlook }: PolicyFacts): Verdict {
  const no = (reason: string, message: string): Verdict => ({
    type: 'Ready',
    status: 'False',
    reason,
    message,
  });
  if (!reading.accepted) return no('NotAccepted', 'what is written is not in force: see Accepted');
  if (!outlook) return no('NeverRotated', 'it was not rotated yet');
  const stuck = outlook.rotations.find(({ state }) => state === 'needs-human');
  if (stuck) return no('NeedsHuman', needsHuman(stuck));
  if (outlook.spec.suspend) return no('Suspended', 'spec.suspend is set: no rotations are planned');
  if (outlook.paused) return no('Paused', 'it was paused: rotor resume lets it be planned again');
  if (outlook.dueReason?.startsWith('cannot be planned')) return no('NotPlanned', outlook.dueReason);
  const ended = outlook.rotations.find(({ state }) => state === 'done' || state === 'rolled-back');
  if (ended?.state === 'rolled-back') {
    return no('RolledBack', `rotation ${ended.id} was rolled back: ${whatOf(ended)}`);
  }
  if (!ended && !outlook.lastRotatedAt) return no('NeverRotated', 'it was not rotated yet');
  const message = `the credential was rotated${ended ? ` by rotation ${ended.id}` : ''}`;
  return { type: 'Ready', status: 'True', reason: 'Rotated', message };
}

function rotating({ outlook, rotateNow }: PolicyFacts): Verdict {
  const verdict = (status: Verdict['status'], reason: string, message: string): Verdict => {
    const then = rotateNow.problem === undefined ? '' : `; ${rotateNow.problem}`;
    return { type: 'Rotating', status, reason, message: message + then };
  };
  const last = outlook?.rotations[0];
  switch (last?.state) {
    case 'queued':
      return verdict('True', 'Queued', `rotation ${last.id} waits for a worker`);
    case 'running':
      return verdict('True', 'Running', `rotation ${last.id} runs`);
    case 'waiting':
      return verdict('True', 'Waiting', `rotation ${last.id} waits: ${last.waitReason ?? 'for its turn'}`);
    case 'needs-human':
      return verdict('False', 'NeedsHuman', `rotation ${last.id} waits for a human`);
    case undefined:
    case 'done':
    case 'rolled-back':
      return verdict('False', 'Idle', 'no rotation is open');
  }
}

function stateOf({ reading, outlook }: PolicyFacts): PolicyState {
  const last = outlook?.rotations[0]?.state;
  if (!reading.accepted) return 'invalid';
  if (last === 'needs-human') return 'needs-human';
  if (last === 'queued' || last === 'running' || last === 'waiting') return 'rotating';
  if (outlook?.spec.suspend) return 'suspended';
  if (outlook?.paused) return 'paused';
  if (last === 'rolled-back') return 'rolled-back';
  return last === 'done' || outlook?.lastRotatedAt ? 'current' : 'new';
}

/** What is known and which command settles it. */
export function needsHuman(rotation: OutlookRotation): string {
  return `rotation ${rotation.id} needs a human: ${whatOf(rotation)}. Look: rotor describe rotation/${rotation.id}; then: rotor resume rotation/${rotation.id}`;
}

export function whatOf({ error }: OutlookRotation): string {
  return error ? `${error.what} (${error.code})` : 'no reason was recorded';
}
