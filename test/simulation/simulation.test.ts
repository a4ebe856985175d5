import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Ledger, migrateLedger, openLedger } from '../../ledger/database.ts';
import { readJournal } from '../../ledger/journal.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation, getRotation, requestCancel, resumeRotation } from '../../ledger/rotations.ts';
import { isCompromised, listVersions, markCompromised } from '../../ledger/versions.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import { freshDatabase } from '../setup/postgres.ts';
import { seededNumbers } from '../setup/seeded.ts';
import { SIMULATED, type Trouble, World } from './world.ts';

const SEEDS = Number(process.env.ROTOR_SIMULATION_SEEDS ?? 150);
const ONLY = process.env.ROTOR_SIMULATION_SEED;
const DAY_MS = 86_400_000;
const FINGERPRINT_KEY = SecretValue.of('simulation');

let ledger: Ledger;
let drop: () => Promise<void>;

beforeAll(async () => {
  const database = await freshDatabase();
  const url = SecretValue.of(database.url);
  await migrateLedger(url, silentLog);
  ledger = openLedger({ url, log: silentLog });
  drop = database.drop;
});

afterAll(async () => {
  await ledger.close();
  await drop();
});

describe('every seed ends done or rolled back, and what consumers hold is accepted all the while', () => {
  const seeds = ONLY ? [Number(ONLY)] : Array.from({ length: SEEDS }, (_, index) => index + 1);
  test.each(seeds)('seed %i', async (seed) => {
    await simulate(seed);
  });
});

/** One rotation under a seed's worth of crashes, lost answers, refusals, zombies and clock jumps. */
async function simulate(seed: number): Promise<void> {
  const numbers = seededNumbers(seed);
  const chance = (probability: number) => numbers.int(1_000_000) < probability * 1_000_000;
  const story: string[] = [];
  let budget = 1 + numbers.int(8);
  let current: Worker;

  const trouble: Trouble = {
    async around(name, _call, effect) {
      if (budget === 0 || !chance(0.12)) return effect();
      budget -= 1;
      const kind = numbers.int(6);
      story.push(
        `${name}: ${['refused once', 'throttled', 'answer lost', 'cut before', 'killed before', 'killed after'][kind]}`,
      );
      switch (kind) {
        case 0:
          throw new RotorError('provider.unreachable', { what: name });
        case 1:
          throw new RotorError('provider.throttled', { what: name, retryAfterMs: 1 + numbers.int(1_500) });
        case 2:
          effect();
          throw new RotorError('provider.connection-lost', { what: name });
        case 3:
          throw new RotorError('provider.connection-lost', { what: name });
        case 4:
          throw current.die();
        default:
          effect();
          throw current.die();
      }
    },
  };
  const world = new World(trouble);
  const first = randomUUID();
  world.seed(first);
  const broken = chance(0.2);
  if (broken) world.unhealthyWith = (credential) => credential.versionId !== first;

  const { uid } = await applyPolicy(ledger, {
    uid: randomUUID(),
    namespace: 'sim',
    name: `seed-${seed}-${randomUUID()}`,
    spec: {},
  });
  const id = randomUUID();
  const cancelled = chance(0.1);
  const leaky = chance(0.3);
  await createRotation(ledger, {
    id,
    policyUid: uid,
    trigger: 'manual',
    requestedBy: 'simulation',
    spec: SIMULATED,
    deadlineMs: 600_000,
  });

  const newWorker = (): Worker => {
    let dead = false;
    let jumpMs = 0;
    // The wall clock of any machine may be wrong by days, and corrected at any moment, forward or back.
    let wrongByMs = chance(0.3) ? numbers.int(20 * DAY_MS) - 10 * DAY_MS : 0;
    const clock: Clock = {
      ...systemClock,
      now: () => new Date(Date.now() + wrongByMs),
      monotonicMs: () => performance.now() + jumpMs,
      sleep: async () => undefined,
    };
    const fenced = () => new RotorError('ledger.fenced', { what: 'this worker is dead' });
    const mortal = (real: Ledger): Ledger => ({
      query: (text, values, name) => (dead ? Promise.reject(fenced()) : real.query(text, values, name)),
      transaction: (work) => real.transaction((inner) => work(mortal(inner))),
      close: async () => undefined,
    });
    const die = () => {
      dead = true;
      return fenced();
    };
    const reach = async (point: string) => {
      if (dead) throw fenced();
      if (leaky && !world.leaked && /announced|performed/.test(point) && chance(0.1)) {
        await markCompromised(ledger, [{ id: first }]);
        if (await isCompromised(ledger, first)) {
          world.leak(first);
          story.push(`at ${point} the old credential leaks`);
        }
      }
      if (chance(0.02)) {
        wrongByMs = numbers.int(20 * DAY_MS) - 10 * DAY_MS;
        story.push(`at ${point} the wall clock jumps to ${wrongByMs} ms off`);
      }
      if (budget === 0 || !chance(0.06)) return;
      budget -= 1;
      if (chance(0.5)) {
        story.push(`killed at ${point}`);
        throw die();
      }
      story.push(`stopped at ${point} past the lease, then continued`);
      await release(id);
      await turn(newWorker());
      current = worker;
      jumpMs += 120_000;
    };
    const worker: Worker = {
      die,
      run: () =>
        runRotation(
          {
            ledger: mortal(ledger),
            registries: world.registries,
            fingerprintKey: FINGERPRINT_KEY,
            clock,
            random: { int: (below) => numbers.int(below), uuid: () => randomUUID() },
            log: silentLog,
            faults: { reach },
            worker: 'simulated',
            leaseMs: 30_000,
          },
          id,
        ),
    };
    return worker;
  };
  const turn = async (worker: Worker) => {
    current = worker;
    return worker.run();
  };

  for (let turns = 0; turns < 60; turns += 1) {
    if (cancelled && turns === 1) await requestCancel(ledger, id, 'simulation');
    await release(id);
    await turn(newWorker());
    const { state } = await getRotation(ledger, id);
    if (state === 'done' || state === 'rolled-back') break;
    if (state === 'needs-human') {
      if (!world.leaked) break;
      story.push('a human mends the consumer and resumes');
      world.unhealthyWith = undefined;
      await resumeRotation(ledger, id, 'simulation', 600_000);
    }
  }

  const rotation = await getRotation(ledger, id);
  const replay = `replay: ROTOR_SIMULATION_SEED=${seed} npm test -- test/simulation\n${story.join('\n')}\n${await told(id)}`;
  expect(['done', 'rolled-back'], `${JSON.stringify(rotation.error)}\n${replay}`).toContain(rotation.state);
  expect(world.broken, replay).toEqual([]);
  if (rotation.state === 'done') {
    expect(world.held?.versionId, replay).toBe(rotation.newVersion);
    expect(world.currentVersion(), replay).toBe(rotation.newVersion);
    expect(world.accepted.get('blue'), replay).toBeNull();
  } else {
    expect(world.held?.versionId, replay).toBe(first);
    expect(world.currentVersion(), replay).toBe(first);
    expect(world.accepted.get('green'), replay).toBeNull();
  }
  if (world.leaked) expect(rotation.state, replay).toBe('done');
  else if (broken) expect(rotation.state, replay).toBe('rolled-back');
  await assertNothingUnknown(world, uid, first, replay);
}

interface Worker {
  readonly die: () => RotorError;
  readonly run: () => Promise<unknown>;
}

/** Time passes: leases end and waits are over. */
async function release(id: string): Promise<void> {
  await ledger.query(
    `UPDATE rotor.rotations SET wake_at = NULL, lease_until = CASE WHEN lease_until IS NULL THEN NULL ELSE clock_timestamp() END WHERE id = $1`,
    [id],
  );
}

/** Promise 2: no credential exists at the provider or in the store that the ledger doesn't know. */
async function assertNothingUnknown(world: World, uid: string, first: string, replay: string): Promise<void> {
  const known = new Map((await listVersions(ledger, uid)).map((version) => [version.id, version.state]));
  for (const id of world.versions.keys()) {
    // What was there before Rotor is known from the first plan on.
    if (id !== first) expect(known.has(id), `version ${id} is unknown to the ledger\n${replay}`).toBe(true);
  }
  expect([...known.values()].filter((state) => state === 'current').length, replay).toBeLessThanOrEqual(1);
}

async function told(id: string): Promise<string> {
  const rows = await readJournal(ledger, id);
  return rows
    .map(
      (row) =>
        `${row.seq} ${row.epoch} ${row.direction} ${row.step} ${row.event} ${JSON.stringify(row.facts)}`,
    )
    .join('\n');
}
