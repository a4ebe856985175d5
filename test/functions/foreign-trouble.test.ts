import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDesks } from '../../functions/desks.ts';
import type { StoreSession } from '../../stores/store.ts';
import { storeScenarios } from '../conformance/stores-scenarios.ts';
import { aCall } from '../setup/call.ts';
import { sampled } from '../setup/matrix.ts';
import { moto } from '../setup/moto.ts';
import { Faults, type Moment } from './faults.ts';
import { aForeignStage, type ForeignStage } from './foreign-stage.ts';
import { type ServedFunction, servedFunction } from './served-function.ts';

const MOMENTS: readonly Moment[] = ['before', 'after'];

let stage: ForeignStage | undefined;
let served: ServedFunction | undefined;
afterEach(async () => {
  await stage?.drop();
  await served?.stop();
  stage = undefined;
  served = undefined;
});
afterAll(async () => {
  for (const { stop } of Object.values(storeScenarios)) await stop?.();
});

const local = async () => (await storeScenarios.local?.home())?.open as () => StoreSession;

/** Promise 1: what consumers hold is accepted. */
async function expectHeldAccepted({ database, held }: ForeignStage, told: string): Promise<void> {
  expect(await database.accepts(await held()), told).toBe(true);
}

describe('a function elsewhere, cut off', () => {
  test('at its calls of the API, before and after they took hold: the rotation is done, and nobody was refused', {
    timeout: 120_000,
  }, async () => {
    const faults = new Faults();
    served = await servedFunction((port) => faults.http(`http://127.0.0.1:${port}`));
    const desks = secretDesks({ listen: { host: '127.0.0.1', port: served.desksPort }, log: silentLog });
    const { url, keyFile } = served;
    stage = await aForeignStage({
      open: await local(),
      provider: { http: { url }, signingKeyFile: keyFile, timeout: '10s' },
      desks,
      // The network is back for the next invocation.
      through: (desk) => ({
        ...desk,
        lend: async (call, loan) => {
          const lent = await desk.lend(call, loan);
          const end = () => {
            faults.revive();
            lent.end();
          };
          return Object.create(lent, { end: { value: end } });
        },
      }),
    });
    const here = stage;
    const rotate = () =>
      here.rotate({}, async () => {
        expect(await here.database.accepts(await here.held())).toBe(true);
      });
    const first = await rotate();
    expect(first.rotation.state, first.journal).toBe('done');
    const calls = faults.seen.http;
    expect(calls).toBeGreaterThan(20);
    const cuts = Array.from({ length: calls }, (_, index) => index + 1).flatMap((at) =>
      MOMENTS.map((moment) => ({ at, moment })),
    );
    for (const { at, moment } of sampled(cuts, 9)) {
      faults.cutAt('http', at, moment);
      const { rotation, journal } = await rotate();
      const told = `cut ${moment} call ${at}\n${journal}`;
      expect(rotation.state, told).toBe('done');
      expect(journal, told).toContain('"oldRefused":true');
      await expectHeldAccepted(here, told);
    }
    await faults.close();
    await desks.close();
  });
});

describe.skipIf(!moto.bin)(`a function in Python with boto3 in trouble${moto.skipped}`, () => {
  /** A store whose `stage` fails with these, one after the other. */
  const failing = (open: () => StoreSession, errors: RotorError[]) => () => {
    const session = open();
    const stageIt = session.stage.bind(session);
    session.stage = async (call, path, id, document) => {
      // What is taken over is none of the function's business.
      const adopting = (await session.list(call, path)).length === 0;
      const error = adopting ? undefined : errors.shift();
      if (error) throw error;
      return stageIt(call, path, id, document);
    };
    return session;
  };

  test('a store that throttles for longer than the SDK has patience: done, a little later', {
    timeout: 60_000,
  }, async () => {
    const throttled = Array.from(
      { length: 4 },
      () => new RotorError('store.throttled', { what: 'slow down' }),
    );
    stage = await aForeignStage({ open: failing(await local(), throttled) });
    const { rotation, journal } = await stage.rotate();
    expect(rotation.state, journal).toBe('done');
    expect(journal).toContain('forward generate failed {"code":"store.throttled"');
    await expectHeldAccepted(stage, journal);
  });

  test('a store that denies: rolled back, the permission is named, consumers have what they had', {
    timeout: 60_000,
  }, async () => {
    const what = 'the workers lack secretsmanager:PutSecretValue on secret shop/app';
    const denied = [new RotorError('store.permission-denied', { what, hint: `Allow it.` })];
    stage = await aForeignStage({ open: failing(await local(), denied) });
    const { rotation, journal } = await stage.rotate();
    expect(rotation, journal).toMatchObject({
      state: 'rolled-back',
      error: { code: 'store.permission-denied' },
    });
    expect(rotation.error?.what).toContain('secretsmanager:PutSecretValue');
    await expectHeldAccepted(stage, journal);
  });

  test.each(['alternating-users', 'single-user'] as const)(
    'a label that somebody else moves in between (%s): rolled back, the label is left, consumers have what they had',
    { timeout: 60_000 },
    async (mode) => {
      const home = await storeScenarios.awsSecretsManager?.home();
      stage = await aForeignStage({ open: home?.open as () => StoreSession, mode });
      const here = stage;
      const { store } = here;
      let made: Record<string, unknown> = {};
      const { rotation, journal } = await here.rotate({}, async (point) => {
        if (point !== 'forward:publish:announced') return;
        made = JSON.parse((await store.read(aCall(), 'shop/app', 'pending'))?.document.reveal() ?? '{}');
        const current = await store.read(aCall(), 'shop/app', 'current');
        const theirs = randomUUID();
        const document = SecretValue.of('{"username":"x","password":"theirs"}');
        await store.stage(aCall(), 'shop/app', theirs, document);
        await store.promote(aCall(), 'shop/app', theirs, current?.versionId);
      });
      expect(rotation, journal).toMatchObject({ state: 'rolled-back', error: { code: 'store.conflict' } });
      expect(await here.stored('current')).toMatchObject({ password: 'theirs' });
      await expectHeldAccepted(here, journal);
      expect(await here.database.accepts(made), 'the new credential is refused again').toBe(false);
    },
  );
});

describe('a function that can not be called', () => {
  let answers: number[];
  let url: string;
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(answers.shift() ?? 200, { 'retry-after': '0' }).end();
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    server.close();
  });

  test('is waited for when it throttles; one that only says yes has staged nothing, and is told so', async () => {
    answers = [429, 429];
    stage = await aForeignStage({ open: await local(), provider: { http: { url } } });
    const { rotation, journal } = await stage.rotate();
    expect(journal).toContain('forward plan failed {"code":"provider.throttled"');
    expect(rotation, journal).toMatchObject({ state: 'rolled-back', error: { code: 'function.failed' } });
    expect(rotation.error?.what).toContain('has put no secret value');
    await expectHeldAccepted(stage, journal);
  });

  test('is given up when Rotor may not call it, before anything is changed', async () => {
    answers = [403];
    stage = await aForeignStage({ open: await local(), provider: { http: { url } } });
    const { rotation, journal } = await stage.rotate();
    expect(rotation, journal).toMatchObject({
      state: 'rolled-back',
      error: { code: 'provider.permission-denied' },
    });
  });

  test('is not started when the operator has not allowed the program', async () => {
    const provider = { command: { run: ['/bin/true'] } };
    stage = await aForeignStage({ open: await local(), provider, allowed: [['/bin/false']] });
    const { rotation, journal } = await stage.rotate();
    expect(rotation, journal).toMatchObject({
      state: 'rolled-back',
      error: { code: 'rollout.command-not-allowed' },
    });
  });
});
