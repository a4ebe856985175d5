import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createRotationHandler } from '../../functions/lambda/handler.ts';
import { postgresStrategy } from '../../functions/postgres/strategy.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { aDatabase, type Stage } from './database.ts';
import { Secrets } from './stage.ts';

const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
const context = { awsRequestId: 'r-1', getRemainingTimeInMillis: () => 30_000 };

describe.skipIf(!moto.bin)(`the four steps against moto and PostgreSQL${moto.skipped}`, () => {
  let server: Awaited<ReturnType<typeof startMoto>>;
  let secrets: Secrets;
  let stage: Stage;
  beforeAll(async () => {
    server = await startMoto();
    Object.assign(process.env, awsEnvironment(server.url));
    secrets = new Secrets(server.url);
    stage = await aDatabase(secrets);
  });
  afterAll(async () => {
    await stage?.drop();
    await server?.stop();
  });

  const handlerWith = (env: Record<string, string> = {}) =>
    createRotationHandler('rotor-postgres', postgresStrategy, {
      env: { ...awsEnvironment(server.url), ...env },
      log: silentLog,
    });
  const rotate = async (arn: string, times = 1, env?: Record<string, string>) => {
    const handler = handlerWith(env);
    const ClientRequestToken = await secrets.beginRotation(arn);
    for (const Step of STEPS)
      for (let time = 0; time < times; time += 1)
        await handler({ SecretId: arn, ClientRequestToken, Step }, context);
    return ClientRequestToken;
  };

  test('a single user gets a new password, each step three times, and the other fields stay as they were', async () => {
    const first = stage.secretOf({ note: { deep: [1] }, ssl: 'whatever' });
    const arn = await secrets.create(first);
    const token = await rotate(arn, 3);
    const current = await secrets.document(arn);
    expect({ ...current, password: 'first-password' }).toEqual(first);
    expect(await stage.accepts(current)).toBe(true);
    expect(await stage.accepts(first)).toBe(false);
    expect((await secrets.stages(arn))[token]).toContain('AWSCURRENT');
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
  });

  test('two users take turns, and the current one always logs in', async () => {
    const first = stage.secretOf({ masterarn: stage.adminSecret });
    const arn = await secrets.create(first);
    await rotate(arn, 2);
    const second = await secrets.document(arn);
    expect(second).toMatchObject({ username: stage.clone, masterarn: stage.adminSecret });
    expect(await Promise.all([first, second].map((each) => stage.accepts(each)))).toEqual([true, true]);
    await rotate(arn, 2);
    const third = await secrets.document(arn);
    expect(third.username).toBe(stage.user);
    expect(await Promise.all([first, second, third].map((each) => stage.accepts(each)))).toEqual([
      false,
      true,
      true,
    ]);
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
  });
});
