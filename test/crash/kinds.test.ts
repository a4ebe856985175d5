import { afterEach, expect, test } from 'vitest';
import { rotators } from '../../rotators/registry.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { type Stage, setStage } from './stage.ts';

/** Every kind and mode beside alternating users, which has the whole matrix of its own (crash-matrix.test.ts). */
const KINDS: Readonly<Record<string, Readonly<Record<string, (stage: Stage) => Partial<RotationSpec>>>>> = {
  postgres: {
    'single-user': ({ app, spec }) => ({
      rotator: {
        ...spec.rotator,
        credential: { mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true },
      },
    }),
    'single-user without admin': ({ app, spec }) => ({
      rotator: {
        kind: 'postgres',
        provider: app.provider({ admin: undefined }),
        credential: { mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true },
      },
      settle: spec.settle,
    }),
  },
  random: {
    value: () => ({
      rotator: { kind: 'random', credential: {} },
      initialFrom: undefined,
      deliver: [],
      consumers: [],
    }),
  },
};

const POINTS = [
  'generate:performed',
  'install:announced',
  'install:performed',
  'publish:performed',
  'deliver:performed',
  'revoke:performed',
  'prove:performed',
];

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.stop();
  stage = undefined;
});

test('every registered rotator is in the crash matrix', () => {
  expect(Object.keys(KINDS).sort()).toEqual(rotators.map(({ kind }) => kind).sort());
});

for (const [kind, modes] of Object.entries(KINDS)) {
  for (const [mode, changes] of Object.entries(modes)) {
    test(`${kind}, ${mode}: killed again and again, it ends done and proven`, {
      timeout: 90_000,
    }, async () => {
      stage = await setStage((ledgerUrl) => ledgerUrl);
      const id = await stage.startRotation(changes(stage));
      for (const point of POINTS) {
        const worker = await stage.startWorker({ point: `forward:${point}`, signal: 'SIGKILL' });
        expect(await worker.exited, `${point}\n${worker.output()}\n${await stage.journal(id)}`).toBe(
          'SIGKILL',
        );
      }
      await stage.startWorker();
      const rotation = await stage.ended(id);
      const told = await stage.journal(id);
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      if (kind !== 'random') {
        expect(stage.client.held(), told).toMatchObject({
          username: stage.app.roles[0],
          versionId: rotation.newVersion,
        });
        expect(await stage.storedPassword(), told).toBe(stage.client.held().password);
        expect(told).toContain('"oldRefused": true'.replace(' ', ''));
      }
    });
  }
}
