import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshLedger, queuedRotation, type TestLedger } from '../test/setup/ledger.ts';
import { hurryRotation } from './incident-rotations.ts';
import { pruneJournal, readJournal, recordTransition } from './journal.ts';
import {
  claimRotation,
  createRotation,
  getRotation,
  renewLease,
  requestCancel,
  resumeRotation,
  wakeableRotations,
} from './rotations.ts';

let test_: TestLedger;
beforeAll(async () => {
  test_ = await freshLedger();
});
afterAll(() => test_.drop());

const INTENT = { direction: 'forward', step: 'plan', event: 'intent', facts: {} } as const;
const LEASE = 30_000;

test('a policy has one open rotation at a time, also when many are asked for at once', async () => {
  const { ledger } = test_;
  const { id, policyUid } = await queuedRotation(ledger);
  const another = () =>
    createRotation(ledger, {
      id: randomUUID(),
      policyUid,
      trigger: 'manual',
      requestedBy: 'test',
      spec: {},
      deadlineMs: 1,
    });
  expect(await Promise.all([another(), another(), another()])).toEqual([false, false, false]);
  const claimed = await claimRotation(ledger, id, 'w', LEASE);
  await recordTransition(ledger, {
    rotationId: id,
    epoch: claimed?.epoch ?? 0n,
    seq: 0,
    entries: [],
    state: 'done',
  });
  expect(await another()).toBe(true);
});

test('of many workers that claim one rotation, one gets it', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const claims = await Promise.all(
    Array.from({ length: 12 }, (_, n) => claimRotation(ledger, id, `w${n}`, LEASE)),
  );
  expect(claims.filter(Boolean)).toHaveLength(1);
});

test('a worker that lost its lease can record nothing, and its successor is marked as recovering', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const first = await claimRotation(ledger, id, 'first', 1);
  await expect.poll(() => claimRotation(ledger, id, 'second', LEASE)).toBeDefined();
  expect(await getRotation(ledger, id)).toMatchObject({ worker: 'second', recovered: true });
  const late = { rotationId: id, epoch: first?.epoch ?? 0n, seq: 0, entries: [INTENT], leaseMs: LEASE };
  await expect(recordTransition(ledger, late)).rejects.toMatchObject({ code: 'ledger.fenced' });
  expect(await renewLease(ledger, id, first?.epoch ?? 0n, LEASE)).toBe(false);
  expect(await readJournal(ledger, id)).toEqual([]);
});

test('a transition repeated after a lost answer is recorded once', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const { epoch = 0n } = (await claimRotation(ledger, id, 'w', LEASE)) ?? {};
  const transition = { rotationId: id, epoch, seq: 0, entries: [INTENT], leaseMs: LEASE };
  await recordTransition(ledger, transition);
  await recordTransition(ledger, transition);
  expect(await readJournal(ledger, id)).toHaveLength(1);
});

test('a rotation let go is found by the sweep once its wake-up time has come, an ended one never', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const { epoch = 0n } = (await claimRotation(ledger, id, 'w', LEASE)) ?? {};
  const found = async () => (await wakeableRotations(ledger, 1_000)).some((open) => open.id === id);
  expect(await found()).toBe(false);
  await recordTransition(ledger, {
    rotationId: id,
    epoch,
    seq: 0,
    entries: [],
    state: 'waiting',
    wakeInMs: 600_000,
  });
  expect(await found()).toBe(false);
  expect(await claimRotation(ledger, id, 'w', LEASE)).toBeUndefined();
  await requestCancel(ledger, id, 'test');
  expect(await found()).toBe(true);
  const again = await claimRotation(ledger, id, 'w', LEASE);
  expect(again).toMatchObject({ cancelRequested: true });
  expect(await getRotation(ledger, id)).toMatchObject({ recovered: false });
  await recordTransition(ledger, {
    rotationId: id,
    epoch: again?.epoch ?? 0n,
    seq: 0,
    entries: [],
    state: 'needs-human',
  });
  expect(await found()).toBe(false);
  expect(await resumeRotation(ledger, id, 'test', 1_000)).toBe(true);
  expect(await getRotation(ledger, id)).toMatchObject({ state: 'queued', cancelRequested: false });
});

test('a cancellation that crosses the step to a long wait is not slept through', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const { epoch = 0n } = (await claimRotation(ledger, id, 'w', LEASE)) ?? {};
  await requestCancel(ledger, id, 'test');
  const wait = { rotationId: id, epoch, seq: 0, entries: [], state: 'waiting', wakeInMs: 600_000 } as const;
  await recordTransition(ledger, wait);
  const again = await claimRotation(ledger, id, 'w', LEASE);
  expect(again).toMatchObject({ cancelRequested: true });
  await recordTransition(ledger, { ...wait, epoch: again?.epoch ?? 0n, cancelSeen: true });
  expect(await claimRotation(ledger, id, 'w', LEASE)).toBeUndefined();
});

test('an incident ends a wait, and one that crosses the step to a long wait is not slept through', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const claim = async () =>
    (await claimRotation(ledger, id, 'w', LEASE)) ?? { epoch: 0n, hurried: undefined };
  const wait = { rotationId: id, seq: 0, entries: [], state: 'waiting', wakeInMs: 600_000 } as const;
  await recordTransition(ledger, { ...wait, epoch: (await claim()).epoch });
  expect(await claimRotation(ledger, id, 'w', LEASE)).toBeUndefined();
  await hurryRotation(ledger, id);
  const woken = await claim();
  expect(woken).toMatchObject({ hurried: true });
  await recordTransition(ledger, { ...wait, epoch: woken.epoch });
  const unseen = await claim();
  expect(unseen).toMatchObject({ hurried: true });
  await recordTransition(ledger, { ...wait, epoch: unseen.epoch, hurrySeen: true });
  expect(await claimRotation(ledger, id, 'w', LEASE)).toBeUndefined();
});

test('a provider at maxConcurrent makes further rotations wait, and only those', async () => {
  const { ledger } = test_;
  const spec = { maxConcurrent: 1 };
  const [one, two] = [
    await queuedRotation(ledger, spec, { provider: 'p' }),
    await queuedRotation(ledger, spec, { provider: 'p' }),
  ];
  const other = await queuedRotation(ledger, spec, { provider: 'q' });
  expect(await claimRotation(ledger, one.id, 'w', LEASE)).toBeDefined();
  expect(await claimRotation(ledger, two.id, 'w', LEASE)).toBeUndefined();
  expect(await claimRotation(ledger, other.id, 'w', LEASE)).toBeDefined();
  expect((await getRotation(ledger, two.id)).waitReason).toContain('maxConcurrent');
});

test('old journals are forgotten, the rotation itself is kept', async () => {
  const { ledger } = test_;
  const { id } = await queuedRotation(ledger);
  const { epoch = 0n } = (await claimRotation(ledger, id, 'w', LEASE)) ?? {};
  await recordTransition(ledger, { rotationId: id, epoch, seq: 0, entries: [INTENT], state: 'done' });
  expect(await pruneJournal(ledger, 60_000)).toBe(0);
  await ledger.query(
    `UPDATE rotor.rotations SET created_at = created_at - interval '1 hour', ended_at = ended_at - interval '1 hour' WHERE id = $1`,
    [id],
  );
  expect(await pruneJournal(ledger, 60_000)).toBe(1);
  expect(await getRotation(ledger, id)).toMatchObject({ state: 'done' });
});
