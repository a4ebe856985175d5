import { expect, test } from 'vitest';
import { type Progress, type TurnStep, turnOf } from './turn.ts';

const nothing: Progress = {
  contained: false,
  delivered: false,
  rolledOut: false,
  proven: false,
  settled: false,
  failed: false,
};
const proven: Progress = { ...nothing, contained: true, delivered: true, rolledOut: true, proven: true };

/** A runbook; `!` marks a step that is done, `*` an approval that is open. */
function steps(text: string, more: Partial<TurnStep> = {}): TurnStep[] {
  return text.split(' ').map((word, ordinal) => ({
    id: `step-${ordinal}`,
    ordinal,
    kind: word.replace(/[!*]/, ''),
    spec: word.startsWith('evidence') ? { directory: '/x' } : {},
    state: word.endsWith('!') ? 'done' : 'waiting',
    beganAt: word.endsWith('*') ? new Date(0) : undefined,
    approvals: [],
    due: true,
    expired: false,
    ...more,
  }));
}

test.each<[string, Progress, string]>([
  ['contain rotate', nothing, 'finish'],
  ['custom rotate', nothing, 'perform 0'],
  ['contain custom rotate', nothing, 'wait'],
  ['contain custom rotate', { ...nothing, contained: true }, 'perform 1'],
  ['rotate custom', { ...nothing, delivered: true }, 'wait'],
  ['rotate deliver custom', { ...nothing, delivered: true }, 'perform 2'],
  ['rotate rollout custom', { ...nothing, delivered: true }, 'wait'],
  ['rotate rollout custom', { ...nothing, rolledOut: true }, 'perform 2'],
  ['rotate deliver rollout prove custom', { ...nothing, delivered: true, rolledOut: true }, 'wait'],
  ['rotate custom', proven, 'perform 1'],
  // An approval does not wait for the provider, and nothing waits for notifications.
  ['contain notify related approve rotate', nothing, 'open 3'],
  ['custom approve rotate', nothing, 'perform 0'],
  ['custom! approve rotate', nothing, 'open 1'],
  ['approve* rotate custom', nothing, 'wait'],
  ['rotate approve custom', nothing, 'wait'],
  ['rotate approve custom', proven, 'open 1'],
  ['resolve rotate', { ...nothing, contained: true }, 'wait'],
  ['resolve rotate', proven, 'perform 0'],
  // The bundle is written when nothing is open that it would miss; an approval after it keeps the incident open.
  ['rotate evidence', proven, 'wait'],
  ['rotate evidence', { ...proven, settled: true }, 'perform 1'],
  ['rotate evidence approve', proven, 'perform 1'],
  ['rotate evidence custom', { ...nothing, failed: true }, 'skip'],
  ['custom! rotate evidence!', proven, 'finish'],
])('%s, %j: %s', (runbook, progress, expected) => {
  const turn = turnOf(steps(runbook), progress);
  expect('step' in turn ? `${turn.do} ${turn.step.ordinal}` : turn.do).toBe(expected);
});

const by = (...people: string[]) => people.map((person) => ({ person, at: new Date(0) }));

test.each<[string, Partial<TurnStep>, string]>([
  ['one of two', { approvals: by('alice') }, 'wait'],
  ['two of two', { approvals: by('alice', 'bob') }, 'release'],
  ['two in time, looked at late', { approvals: by('alice', 'bob'), expired: true }, 'release'],
  ['too few in time', { approvals: by('alice'), expired: true }, 'stop'],
  ['too few, and the runbook goes on', { spec: { onExpiry: 'continue' }, expired: true }, 'release'],
  ['one is enough', { spec: { people: 1 }, approvals: by('alice') }, 'release'],
])('an approval with %s', (_what, more, expected) => {
  expect(turnOf(steps('approve*', more), nothing).do).toBe(expected);
});

test('a step that is to be tried later is waited for, and so is what comes after it', () => {
  const [first, second] = steps('custom custom');
  expect(turnOf([{ ...first, due: false } as TurnStep, second as TurnStep], nothing).do).toBe('wait');
});
