import { expect, test } from 'vitest';
import type { JournalRow } from '../../ledger/journal.ts';
import { positionOf } from './position.ts';

const minute = (index: number) => new Date(Date.UTC(2026, 0, 1, 0, index));

function journal(...rows: readonly (readonly [step: string, event: JournalRow['event'], facts?: object])[]) {
  return rows.map(
    ([step, event, facts = {}], index): JournalRow => ({
      seq: index + 1,
      at: minute(index),
      epoch: 1n,
      direction: 'forward',
      step,
      event,
      facts: facts as JournalRow['facts'],
    }),
  );
}

test('what a waiting step noted is found again, and the step is where it was', () => {
  const rows = journal(
    ['deliver', 'done'],
    ['rollout', 'intent'],
    ['rollout', 'failed'],
    ['rollout', 'intent', { noted: { pauses: { 1: 'then' } } }],
  );
  const position = positionOf(rows);
  expect(position).toMatchObject({ step: 'rollout', phase: 'open', failures: 1 });
  expect(position.noted).toEqual({ pauses: { 1: 'then' } });
  expect(position.announcedAt.get('rollout')).toEqual(minute(1));
});

test('a later note replaces an earlier one, and the next step starts without', () => {
  const noted = (text: string) => ['rollout', 'intent', { noted: { text } }] as const;
  const rows = journal(['rollout', 'intent'], noted('one'), noted('two'));
  expect(positionOf(rows).noted).toEqual({ text: 'two' });
  expect(positionOf([...rows, ...journal(['rollout', 'done'], ['settle', 'intent'])]).noted).toEqual({});
});

test('a rollout that is announced anew, after another credential was made, starts without notes', () => {
  const rows = journal(
    ['rollout', 'intent'],
    ['rollout', 'intent', { noted: { text: 'one' } }],
    ['generate', 'intent'],
    ['rollout', 'intent'],
  );
  expect(positionOf(rows).noted).toEqual({});
});

test('a call without an answer is remembered, by its error or since its worker was another one', () => {
  const failed = (code: string) =>
    positionOf(journal(['install', 'intent'], ['install', 'failed', { code }]));
  expect(failed('call.timeout').unanswered).toEqual(new Set(['install']));
  expect(failed('provider.permission-denied').unanswered.size).toBe(0);
  const rows = journal(['install', 'intent'], ['install', 'done']);
  expect(positionOf(rows).unanswered.size).toBe(0);
  const later = rows.map((row, index) => ({ ...row, epoch: BigInt(index) }));
  expect(positionOf(later).unanswered).toEqual(new Set(['install']));
});

test('when the open step asked for a human is known until it is over', () => {
  const asked = [
    ['prove', 'intent'],
    ['prove', 'failed', { code: 'rotation.needs-human' }],
  ] as const;
  expect(positionOf(journal(...asked)).askedAt).toEqual(minute(1));
  expect(positionOf(journal(...asked, ['prove', 'done'])).askedAt).toBeUndefined();
});
