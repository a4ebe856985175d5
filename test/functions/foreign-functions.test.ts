import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { storeScenarios } from '../conformance/stores-scenarios.ts';
import { sampled } from '../setup/matrix.ts';
import { moto } from '../setup/moto.ts';
import { aForeignStage, type ForeignStage } from './foreign-stage.ts';

let stage: ForeignStage | undefined;
afterEach(async () => {
  await stage?.drop();
  stage = undefined;
});
afterAll(async () => {
  for (const { stop } of Object.values(storeScenarios)) await stop?.();
});

describe.skipIf(!moto.bin)(`a rotation function in Python with boto3${moto.skipped}`, () => {
  for (const [kind, { server, skipped, home }] of sampled(Object.entries(storeScenarios), 4)) {
    test.skipIf(skipped !== '')(
      `rotates a secret in the store ${kind} (${server})${skipped}, and the old one is refused`,
      { timeout: 60_000 },
      async () => {
        const { open } = await home();
        stage = await aForeignStage({ open });
        const { database } = stage;
        const { rotation, journal, versions } = await stage.rotate();
        expect(rotation.state, journal).toBe('done');
        expect(journal).toContain('"oldRefused":true');
        expect(journal).not.toContain((await stage.held()).password);
        expect(versions).toEqual(['current', 'revoked']);
        const held = await stage.held();
        expect(held.username).toBe(database.clone);
        expect(await stage.stored('current')).toMatchObject({
          username: held.username,
          password: held.password,
        });
        expect(await database.accepts(held)).toBe(true);
        expect(await database.accepts(database.secretOf())).toBe(false);
      },
    );
  }
});
