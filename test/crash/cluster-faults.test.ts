import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Rotation, requestCancel, resumeRotation } from '../../ledger/rotations.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { WHOLE } from '../setup/matrix.ts';
import { casesOf, meet, objectIn, placeOf, TROUBLES } from './cluster-faults.ts';
import { type Mall, openMall, Shop } from './shop.ts';
import { expectMoved, expectUntouched } from './shop-expectations.ts';
import { STRATEGIES } from './strategies.ts';

const AT_ONCE = 6;

let mall: Mall;
let ledger: TestLedger;
beforeAll(async () => {
  [mall, ledger] = await Promise.all([openMall(), freshLedger()]);
});
afterAll(async () => {
  await mall.stop();
  await ledger.drop();
});

describe.each(Object.entries(STRATEGIES))('%s, an API server in trouble', (_kind, strategy) => {
  test('at every request on the way forward: the rotation is done, no pod was refused', {
    timeout: 600_000,
  }, async () => {
    const cases = casesOf(await placesOf((shop) => shop.rotate(strategy)), WHOLE);
    expect(cases.length).toBeGreaterThan(25);
    await each(cases, async (one, shop) => {
      const met = meet(shop, one);
      const rotation = await shop.rotate(strategy);
      const story = await storyOf(shop, one, rotation);
      expect(met(), story).toBe(1);
      expect(rotation.state, story).toBe('done');
      await expectNamed(shop, one);
      await expectMoved(shop, rotation, story);
    });
  });

  test('at every request on the way back: rolled back, all is as it was, no pod was refused', {
    timeout: 600_000,
  }, async () => {
    const places = await placesOf((shop) => cancelledWhileSettling(shop, strategy));
    const cases = casesOf(
      places.filter((place) => place.startsWith('back')),
      WHOLE,
    );
    expect(cases.length).toBeGreaterThan(15);
    await each(cases, async (one, shop) => {
      const met = meet(shop, one);
      const rotation = await cancelledWhileSettling(shop, strategy);
      const story = await storyOf(shop, one, rotation);
      expect(met(), story).toBe(1);
      expect(rotation, story).toMatchObject({ state: 'rolled-back', error: { code: 'rotation.cancelled' } });
      await expectNamed(shop, one);
      await expectUntouched(shop, rotation, story);
    });
  });

  test('that does not end on the way forward: rolled back, with what failed on which object', {
    timeout: 600_000,
  }, async () => {
    const places = await placesOf((shop) => shop.rotate(strategy));
    const until = places.filter((place) => /^forward (deliver|rollout|settle)/.test(place));
    await each(
      lastingCases(until),
      async (one, shop) => {
        meet(shop, one, Number.POSITIVE_INFINITY);
        const rotation = await shop.rotate(strategy);
        const story = await storyOf(shop, one, rotation);
        expect(rotation, story).toMatchObject({
          state: 'rolled-back',
          error: { code: TROUBLES[one.trouble]?.code },
        });
        expect(rotation.error?.what, story).toMatch(objectIn(one.place));
        await expectUntouched(shop, rotation, story);
      },
      'one each',
    );
  });

  test('that does not end on the way back: a human is told, and once it is over the rotation ends as it should', {
    timeout: 600_000,
  }, async () => {
    const places = await placesOf((shop) => cancelledWhileSettling(shop, strategy));
    const back = places.filter((place) => place.startsWith('back'));
    await each(lastingCases(back), async (one, shop) => {
      meet(shop, one, Number.POSITIVE_INFINITY);
      const asked = await cancelledWhileSettling(shop, strategy);
      const story = await storyOf(shop, one, asked);
      expect(asked, story).toMatchObject({
        state: 'needs-human',
        error: { code: TROUBLES[one.trouble]?.code },
      });
      expect(asked.error?.what, story).toMatch(objectIn(one.place));
      expect(asked.error?.hint, story).toContain(`rotor resume rotation/${shop.id}`);
      expect(shop.world.broken, story).toEqual([]);
      meet(shop, one, 0);
      await resumeRotation(ledger.ledger, shop.id, 'test', 600_000);
      const rotation = await shop.goOn();
      expect(rotation.state, await shop.told()).toBe('rolled-back');
      await expectUntouched(shop, rotation, await shop.told());
    });
  });
});

/** Different requests of a clean rotation, in the order in which they are first made. */
async function placesOf(rotate: (shop: Shop) => Promise<Rotation>): Promise<readonly string[]> {
  const shop = await Shop.open(mall, ledger);
  const places = new Set<string>();
  shop.before = (asked) => {
    places.add(placeOf(asked));
    return 'ok';
  };
  await rotate(shop);
  expect(shop.world.broken).toEqual([]);
  return [...places];
}

/** A request that fails however often it is repeated: one for each verb of each step. */
function lastingCases(places: readonly string[]) {
  const trouble = 'an internal error (500)';
  const byVerb = Map.groupBy(places, (place) => place.split(' ').slice(0, 3).join(' '));
  return [...byVerb.values()].flatMap((among) =>
    (WHOLE ? among : among.slice(0, 1)).map((place) => ({ trouble, place })),
  );
}

async function cancelledWhileSettling(shop: Shop, strategy: (typeof STRATEGIES)[string]): Promise<Rotation> {
  shop.reach = async (point) => {
    if (point === 'forward:settle:announced') await requestCancel(ledger.ledger, shop.id, 'test');
  };
  return shop.rotate(strategy, { graceMs: 600_000 });
}

/**
 * A few at a time, since they wait more than they compute; each lane goes on in the shop that it left in order, unless its
 * pods would remember the rotation before (the label of their slot, where it was rolled back).
 */
async function each<T>(
  all: readonly T[],
  run: (one: T, shop: Shop) => Promise<void>,
  shops: 'go on' | 'one each' = 'go on',
): Promise<void> {
  const left = [...all];
  const lane = async () => {
    let shop = await Shop.open(mall, ledger);
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      await run(one, shop);
      if (shops === 'one each') shop = await Shop.open(mall, ledger);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all.length) }, lane));
}

async function storyOf(
  shop: Shop,
  { trouble, place }: { trouble: string; place: string },
  rotation: Rotation,
): Promise<string> {
  return `${trouble} at "${place}": ${rotation.state} ${JSON.stringify(rotation.error)}\n${await shop.told()}`;
}

/** The journal says what failed, by code, verb and object. */
async function expectNamed(
  shop: Shop,
  { trouble, place }: { trouble: string; place: string },
): Promise<void> {
  const code = TROUBLES[trouble]?.code;
  // On a busy machine an ordinary request may come too late as well.
  const failed = (await shop.journal()).filter(
    ({ event, facts }) => event === 'failed' && (facts.code === code || facts.code !== 'call.timeout'),
  );
  // Who comes second in changing a template looks again at once: that is no failure of the step.
  const lookedAgain = trouble.includes('409') && place.includes('patch deployment');
  if (lookedAgain) return expect(failed).toEqual([]);
  expect(failed.map(({ facts }) => facts.code)).toEqual([code]);
  expect(failed[0]?.facts.what).toMatch(objectIn(place));
  if (trouble.includes('429')) expect(Math.max(...shop.waits), place).toBeGreaterThanOrEqual(3_000);
}
