import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KEPT, liveTags, nextExpiry, noted, recordTags, settled, tidied, turnOf } from './tags.ts';

const at = (seconds: number) => new Date(seconds * 1_000);

test('the record comes back as it was written, and fits the tags of Key Vault with all that is kept', () => {
  const known = Array.from({ length: KEPT + 3 }, () => randomUUID());
  const record = { pending: known[0], next: known[1], known };
  const tags = recordTags(record);
  expect(noted(tags)).toEqual(record);
  for (const value of Object.values(tags)) expect(value.length).toBeLessThanOrEqual(256);
  expect(noted(recordTags({ pending: undefined, next: undefined, known: [] }))).toEqual({
    pending: undefined,
    next: undefined,
    known: [],
  });
});

test('tags of others stay, those of Rotor are replaced', () => {
  const before = { team: 'shop', 'rotor-version': 'a', 'rotor-previous': 'z' };
  expect(liveTags(before, 'b', 'a')).toEqual({ team: 'shop', 'rotor-version': 'b', 'rotor-previous': 'a' });
  expect(liveTags(before, 'b', undefined)).toEqual({ team: 'shop', 'rotor-version': 'b' });
});

test('what took the stage from another does not give it back', () => {
  expect(settled({ pending: 'a', next: 'b', known: [] }, 'b')).toMatchObject({
    pending: undefined,
    next: undefined,
  });
  expect(settled({ pending: 'a', next: 'b', known: [] }, 'a')).toMatchObject({
    pending: undefined,
    next: 'b',
  });
  const other = { pending: 'a', next: undefined, known: [] };
  expect(settled(other, 'x')).toBe(other);
});

test('documents of old versions go, never one with a stage', () => {
  const known = ['a', 'b', 'c', 'd', 'e', 'f'];
  expect(tidied(known, ['g'], ['a', 'g', undefined])).toEqual({
    known: ['a', 'c', 'd', 'e', 'f', 'g'],
    dropped: ['b'],
  });
});

test('a version that replaces one with an expiry lives as long', () => {
  expect(nextExpiry(at(100), { createdAt: at(10), expiresAt: at(40) })).toEqual(at(130));
  expect(nextExpiry(at(100), { createdAt: at(10), expiresAt: undefined })).toBeUndefined();
  expect(nextExpiry(at(100), undefined)).toBeUndefined();
});

test('however claims and looks of workers interleave, at most one version goes, and one always can', () => {
  const order = fc.shuffledSubarray([0, 0, 1, 1, 2, 2, 3, 3], { minLength: 8, maxLength: 8 });
  const seconds = fc.array(fc.nat(2), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(order, seconds, fc.infiniteStream(fc.nat(3)), (turns, times, more) => {
      const claims = new Map<number, { version: string; versionId: string; createdAt: Date }>();
      const gone: number[] = [];
      const step = (worker: number) => {
        const verdict = turnOf([...claims.values()], `v${worker}`);
        if (verdict === 'go') gone.push(worker);
        // Who goes keeps its claim; who yields takes it back.
        if (verdict === 'yield') claims.delete(worker);
        return verdict;
      };
      const state = ['new', 'new', 'new', 'new'];
      const act = (worker: number) => {
        if (state[worker] === 'new') {
          // Ids of Key Vault are random, its times whole seconds: neither tells who came first.
          const version = `${(worker * 7 + (times[0] ?? 0)) % 5}${worker}`;
          claims.set(worker, { version, versionId: `v${worker}`, createdAt: at(times[worker] ?? 0) });
          state[worker] = 'claimed';
        } else if (state[worker] === 'claimed') state[worker] = step(worker) === 'wait' ? 'claimed' : 'done';
      };
      for (const worker of turns) act(worker);
      for (const worker of more) {
        if (state.every((each) => each === 'done') || gone.length > 0) break;
        act(worker);
      }
      for (let round = 0; round < 8; round += 1) for (const worker of [0, 1, 2, 3]) act(worker);
      expect(gone.length).toBe(1);
    }),
  );
});
