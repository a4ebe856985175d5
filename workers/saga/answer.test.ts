import { expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { answerTo, type Situation } from './answer.ts';

const usual: Situation = {
  direction: 'forward',
  step: 'install',
  failures: 1,
  generations: 1,
  mayTurnBack: true,
  noWayBack: false,
  keepsPending: false,
  overdue: false,
  cancelled: false,
  random: 0,
};
const unreachable = new RotorError('provider.unreachable', { what: 'x' });
const lost = new RotorError('provider.connection-lost', { what: 'x' });
const denied = new RotorError('provider.permission-denied', { what: 'x' });
const rejected = new RotorError('provider.rejects-generated', { what: 'x' });
const bug = new RotorError('internal.bug', { what: 'x', kind: 'ambiguous' });
const fenced = new RotorError('ledger.fenced', { what: 'x' });
const unhealthy = new RotorError('rollout.unhealthy', { what: 'x' });

test.each<[string, RotorError, Partial<Situation>, string]>([
  ['out of reach: again', unreachable, {}, 'retry'],
  ['out of reach for long: back', unreachable, { failures: 6 }, 'turn-back'],
  ['denied: back', denied, {}, 'turn-back'],
  ['this secret refused for good: another', rejected, {}, 'regenerate'],
  [
    'this secret refused for good, and to be taken back first: another',
    rejected,
    { keepsPending: true },
    'regenerate',
  ],
  ['three of them refused: back', rejected, { generations: 3 }, 'turn-back'],
  ['another worker holds it: hands off', fenced, {}, 'let-go'],
  ['a mistake of ours: once more', bug, {}, 'retry'],
  ['a mistake of ours, again: back', bug, { failures: 2 }, 'turn-back'],
  ['cancelled: back', unreachable, { cancelled: true }, 'turn-back'],
  ['out of time: back', unreachable, { overdue: true }, 'turn-back'],
  ['denied on the way back: a human', denied, { direction: 'back' }, 'ask-human'],
  ['out of reach on the way back: again', unreachable, { direction: 'back', failures: 11 }, 'retry'],
  [
    'denied while the old one is being killed: a human',
    denied,
    { step: 'revoke', mayTurnBack: false },
    'ask-human',
  ],
  [
    'out of reach while the old one is being killed: again',
    unreachable,
    { step: 'revoke', mayTurnBack: false, failures: 11 },
    'retry',
  ],
  ['the old one has leaked, nobody has the new one: a fresh one', denied, { noWayBack: true }, 'regenerate'],
  [
    'the old one has leaked, and three fresh ones failed: a human',
    denied,
    { noWayBack: true, generations: 3 },
    'ask-human',
  ],
  [
    'the old one has leaked, consumers are moving: on, for longer',
    unreachable,
    { noWayBack: true, step: 'rollout', failures: 11 },
    'retry',
  ],
  [
    'the old one has leaked, and consumers fail for good: a human',
    unhealthy,
    { noWayBack: true, step: 'rollout', failures: 12 },
    'ask-human',
  ],
  [
    'the old one has leaked, and somebody cancels: a human',
    unreachable,
    { noWayBack: true, cancelled: true },
    'ask-human',
  ],
  [
    'the old one has leaked, and this one may be the only one that works: again',
    unreachable,
    { noWayBack: true, keepsPending: true, failures: 6 },
    'retry',
  ],
  [
    'the old one has leaked, and this one is refused for good but may be the only one: a human',
    rejected,
    { noWayBack: true, keepsPending: true },
    'ask-human',
  ],
])('%s', (_what, error, situation, expected) => {
  expect(answerTo(error, { ...usual, ...situation }).do).toBe(expected);
});

test('a lost answer leaves doubt, a refused connection does not', () => {
  expect(answerTo(lost, usual)).toMatchObject({ do: 'retry', inDoubt: true });
  expect(answerTo(unreachable, usual)).toMatchObject({ do: 'retry', inDoubt: false });
});

test('a leaked credential is never gone back to, whatever fails', () => {
  for (const step of [
    'plan',
    'generate',
    'install',
    'verify',
    'publish',
    'deliver',
    'rollout',
    'settle',
  ] as const) {
    for (const error of [unreachable, lost, denied, rejected, unhealthy]) {
      for (let failures = 1; failures <= 13; failures += 1) {
        for (const cancelled of [false, true]) {
          const answer = answerTo(error, { ...usual, step, failures, cancelled, noWayBack: true });
          expect(answer.do).not.toBe('turn-back');
        }
      }
    }
  }
});
