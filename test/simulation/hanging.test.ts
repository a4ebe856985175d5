import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { readJournal } from '../../ledger/journal.ts';
import { getRotation } from '../../ledger/rotations.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import { freshLedger, queuedRotation, type TestLedger } from '../setup/ledger.ts';
import { SIMULATED, World } from './world.ts';

let test_: TestLedger;
beforeAll(async () => {
  test_ = await freshLedger();
});
afterAll(() => test_.drop());

const forever = () => new Promise<never>(() => undefined);

/** @param hangs whether this call, of that name, takes the request and never answers */
async function rotate(hangs: (name: string) => boolean, done: boolean) {
  const { ledger } = test_;
  const world = new World({
    around: async (name, _call, effect) => {
      if (!hangs(name)) return effect();
      if (done) effect();
      return forever();
    },
  });
  world.seed(randomUUID());
  const { id } = await queuedRotation(ledger, SIMULATED);
  const turn = () =>
    runRotation(
      {
        ledger,
        registries: world.registries,
        fingerprintKey: SecretValue.of('hanging'),
        clock: { ...systemClock, sleep: async () => undefined },
        random: { int: () => 0, uuid: () => randomUUID() },
        log: silentLog,
        faults: noFaults,
        worker: 'hanging',
        leaseMs: 30_000,
        stepLimitMs: 100,
      },
      id,
    );
  let outcome = await turn();
  while (outcome.state === 'waiting') {
    await ledger.query('UPDATE rotor.rotations SET wake_at = NULL WHERE id = $1', [id]);
    outcome = await turn();
  }
  const journal = (await readJournal(ledger, id)).map(
    ({ direction, step, event }) => `${direction} ${step} ${event}`,
  );
  return { world, outcome, journal, rotation: await getRotation(ledger, id) };
}

const once = (wanted: string) => {
  let hung = false;
  return (name: string) => {
    if (hung || name !== wanted) return false;
    hung = true;
    return true;
  };
};

test.each(['plan', 'stage', 'install', 'promote', 'deliver', 'move', 'usage', 'revoke', 'attempt'])(
  'a call that never answers is given up, and what happened is probed: %s',
  async (name) => {
    for (const done of [false, true]) {
      const { world, outcome, journal } = await rotate(once(name), done);
      expect(outcome.state, journal.join('\n')).toBe('done');
      expect(journal.filter((line) => line.endsWith('failed'))).toHaveLength(1);
      expect(world.broken).toEqual([]);
      expect(world.accepted.get('blue')).toBeNull();
    }
  },
);

test('a provider that never answers again: a human is told, with what is known and what to do', async () => {
  let reached = false;
  const { outcome, rotation } = await rotate((name) => {
    reached ||= name === 'install';
    return reached && ['install', 'uninstall', 'attempt'].includes(name);
  }, false);
  expect(outcome.state).toBe('needs-human');
  expect(rotation.error).toMatchObject({ code: 'call.timeout' });
  expect(rotation.error?.hint).toContain(`rotor resume rotation/${rotation.id}`);
});
