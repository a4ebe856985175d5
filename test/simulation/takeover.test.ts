/**
 * An incident that meets a running rotation of the same credential: it takes over what is there and waits for nothing that is
 * only cautious, while nobody is refused and nothing goes back to what has leaked.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { hurryRotation } from '../../ledger/incident-rotations.ts';
import { getRotation, resumeRotation } from '../../ledger/rotations.ts';
import { markCompromised } from '../../ledger/versions.ts';
import { mayTakeOver } from '../../orchestrator/incidents/take-over.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { freshLedger, queuedRotation, type TestLedger } from '../setup/ledger.ts';
import { SIMULATED, type Trouble, World } from './world.ts';

let test_: TestLedger;
beforeAll(async () => {
  test_ = await freshLedger();
});
afterAll(() => test_.drop());

const calm: Trouble = { around: async (_name, _call, effect) => effect() };
const DAY_MS = 86_400_000;

async function running(spec: Partial<RotationSpec>, trouble = calm) {
  const world = new World(trouble);
  const old = randomUUID();
  world.seed(old);
  const { id } = await queuedRotation(test_.ledger, { ...SIMULATED, ...spec });
  const turn = () =>
    runRotation(
      {
        ledger: test_.ledger,
        registries: world.registries,
        fingerprintKey: SecretValue.of('takeover'),
        clock: { ...systemClock, sleep: async () => undefined },
        random: { int: () => 0, uuid: () => randomUUID() },
        log: silentLog,
        faults: noFaults,
        worker: 'takeover',
        leaseMs: 30_000,
      },
      id,
    );
  const leak = async () => {
    world.leak(old);
    await markCompromised(test_.ledger, [{ id: old, revokeInMs: 900_000 }]);
    await hurryRotation(test_.ledger, id);
  };
  return { world, id, turn, leak };
}

const settle = (more: Partial<RotationSpec['settle']>) => ({ settle: { ...SIMULATED.settle, ...more } });

test('a grace time of a day is over at once, and the old one dies by the evidence of its sessions', async () => {
  const { world, turn, leak } = await running(settle({ graceMs: DAY_MS }));
  expect(await turn()).toMatchObject({ state: 'waiting' });
  expect(await turn()).toEqual({ state: 'not-claimed' });
  await leak();
  expect(await turn()).toEqual({ state: 'done' });
  expect(world.accepted.get('blue')).toBeNull();
  expect(world.broken).toEqual([]);
});

test('where time is the only evidence, it is still waited for', async () => {
  const { world, turn, leak } = await running(settle({ graceMs: DAY_MS, evidence: 'time-only' }));
  await turn();
  await leak();
  expect(await turn()).toMatchObject({ state: 'waiting' });
  expect(world.accepted.get('blue')).toBe('first');
});

test('a pause between two tries is over at once', async () => {
  let away = true;
  const { world, turn, leak } = await running(
    {},
    {
      around: async (name, _call, effect) => {
        if (name === 'install' && away)
          throw new RotorError('provider.throttled', { what: 'not now', retryAfterMs: 3_600_000 });
        return effect();
      },
    },
  );
  expect(await turn()).toMatchObject({ state: 'waiting' });
  away = false;
  await leak();
  expect(await turn()).toEqual({ state: 'done' });
  expect(world.broken).toEqual([]);
});

test('who still uses a leaked one is waited for until it is revoked anyway, not given up before', async () => {
  const { world, id, turn, leak } = await running(settle({ graceMs: DAY_MS, timeoutMs: 0 }), {
    around: async (name, _call, effect) =>
      name === 'usage' && world.held?.identity === 'green'
        ? ({ sessions: 1, clients: ['an old client'] } as never)
        : effect(),
  });
  await turn();
  await leak();
  expect(await turn()).toMatchObject({ state: 'waiting' });
  expect(await getRotation(test_.ledger, id)).toMatchObject({
    state: 'waiting',
    waitReason: expect.stringMatching(/an old client; it is revoked anyway in/),
  });
});

test('one that waits for a person, since somebody still uses the old one, goes on to its end when that has leaked', async () => {
  let used = true;
  const { world, id, turn, leak } = await running(settle({ timeoutMs: 0, onTimeout: 'needs-human' }), {
    around: async (name, _call, effect) =>
      name === 'usage' && used && world.held?.identity === 'green'
        ? ({ sessions: 1, clients: ['an old client'] } as never)
        : effect(),
  });
  expect(await turn()).toEqual({ state: 'needs-human' });
  const stopped = await getRotation(test_.ledger, id);
  expect(mayTakeOver(stopped)).toBe(true);
  expect(await resumeRotation(test_.ledger, id, 'incident/x', DAY_MS)).toBe(true);
  await leak();
  expect(await turn()).toMatchObject({ state: 'waiting' });
  used = false;
  await test_.ledger.query('UPDATE rotor.rotations SET wake_at = NULL WHERE id = $1', [id]);
  expect(await turn()).toEqual({ state: 'done' });
  expect(world.accepted.get('blue')).toBeNull();
  expect(world.broken).toEqual([]);
});
