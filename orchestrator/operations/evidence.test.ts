import { expect, test } from 'vitest';
import type { JournalRow } from '../../ledger/journal.ts';
import { evidenceOf } from './evidence.ts';

const at = new Date('2026-01-01T00:00:00Z');
const versions = { oldVersion: 'v0', newVersion: 'v1' };
const proof = (consumer: string, detail: string) => ({
  consumer,
  healthy: true,
  version: 'restarted',
  detail,
});

function done(step: string, facts: object, direction: 'forward' | 'back' = 'forward'): JournalRow {
  return { seq: 1, at, epoch: 1n, direction, step, event: 'done', facts: facts as JournalRow['facts'] };
}

test('before anything is proven there is no evidence', () => {
  expect(evidenceOf([done('plan', {})], versions)).toBeUndefined();
});

test('the rollout proves the consumers, and what settling saw of one replaces it', () => {
  const journal = [
    done('rollout', { proofs: [proof('web', 'moved'), proof('listed', 'reloaded')] }),
    done('settle', {
      evidence: 'sessions',
      sessions: 0,
      proofs: [proof('web', 'still there'), proof('late', 'came')],
    }),
  ];
  expect(evidenceOf(journal, versions)).toEqual({
    version: 'v1',
    consumers: [proof('web', 'still there'), proof('listed', 'reloaded'), proof('late', 'came')],
    provider: { evidence: 'sessions', sessions: 0, at },
  });
});

test('rolled back, the evidence is that of the way back, about the version of before', () => {
  const journal = [
    done('rollout', { proofs: [proof('web', 'moved')] }),
    done('rollout', { proofs: [proof('web', 'moved back')] }, 'back'),
    done('settle', { evidence: 'sessions', remaining: '2 sessions' }, 'back'),
  ];
  expect(evidenceOf(journal, versions)).toEqual({
    version: 'v0',
    consumers: [proof('web', 'moved back')],
    provider: { evidence: 'sessions', remaining: '2 sessions', at },
  });
});

test('a credential that was made anew starts without proofs', () => {
  const journal = [
    done('rollout', { proofs: [proof('web', 'moved')] }),
    done('generate', {}),
    done('settle', { evidence: 'time-only' }),
  ];
  expect(evidenceOf(journal, versions)).toMatchObject({ consumers: [], provider: { evidence: 'time-only' } });
});
