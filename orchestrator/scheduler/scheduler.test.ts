import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { applyPolicy, getPolicy, setPaused } from '../../ledger/policies.ts';
import { createRotation, listRotations } from '../../ledger/rotations.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { type SchedulerOptions, tick } from './scheduler.ts';

let test_: TestLedger;
let clock: FakeClock;
let options: SchedulerOptions;
const woken: string[] = [];
const HOUR = 3_600_000;

beforeEach(async () => {
  test_ = await freshLedger();
  clock = new FakeClock();
  woken.length = 0;
  options = {
    ledger: test_.ledger,
    clock,
    log: silentLog,
    nextDue: async (_ledger, { name }) => {
      if (name.startsWith('broken')) throw new Error('from a newer Rotor');
      const at = new Date(clock.now().getTime() + HOUR);
      return { at, planned: at, reason: 'every hour' };
    },
    start: async (ledger, policy) => {
      const id = randomUUID();
      const created = await createRotation(ledger, {
        id,
        policyUid: policy.uid,
        trigger: 'schedule',
        requestedBy: 'scheduler',
        spec: {},
        deadlineMs: HOUR,
      });
      return created ? id : undefined;
    },
    wake: async (id) => {
      woken.push(id);
    },
  };
});
afterEach(() => test_.drop());

async function policy(name: string): Promise<void> {
  await applyPolicy(test_.ledger, { uid: randomUUID(), namespace: 'test', name, spec: {} });
}

test('a new policy gets its place in the due index, and a rotation when its time has come', async () => {
  await policy('a');
  expect(await tick(options)).toBe(0);
  expect((await getPolicy(test_.ledger, 'test/a')).nextDueAt).toEqual(new Date(clock.now().getTime() + HOUR));
  clock.advance(HOUR - 1);
  expect(await tick(options)).toBe(0);
  clock.advance(1);
  expect(await tick(options)).toBe(1);
  expect(await tick(options)).toBe(0);
  const rotations = await listRotations(test_.ledger);
  expect(rotations.map(({ id }) => id)).toEqual(woken);
});

test('what was missed while nothing ran is one run', async () => {
  await policy('a');
  await tick(options);
  clock.advance(100 * HOUR);
  expect(await tick(options)).toBe(1);
  expect(await tick(options)).toBe(0);
});

test('schedulers that tick at once share the work', async () => {
  for (let n = 0; n < 150; n += 1) await policy(`p${n}`);
  await tick(options);
  clock.advance(HOUR);
  const started = await Promise.all([tick(options), tick(options), tick(options)]);
  expect(started.reduce((sum, count) => sum + count, 0)).toBe(150);
  expect(await listRotations(test_.ledger, { limit: 1_000 })).toHaveLength(150);
});

test('a policy that cannot be planned holds up nobody, and says why', async () => {
  await policy('broken');
  await policy('sound');
  await tick(options);
  expect((await getPolicy(test_.ledger, 'test/broken')).dueReason).toContain('cannot be planned');
  clock.advance(HOUR);
  expect(await tick(options)).toBe(1);
});

test('a paused policy does not start, and is planned anew when it goes on', async () => {
  await policy('a');
  await tick(options);
  await setPaused(test_.ledger, true);
  clock.advance(HOUR);
  expect(await tick(options)).toBe(0);
  await setPaused(test_.ledger, false);
  expect(await tick(options)).toBe(0);
  clock.advance(HOUR);
  expect(await tick(options)).toBe(1);
});
