import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createRotationHandler } from '../../functions/lambda/handler.ts';
import { postgresStrategy } from '../../functions/postgres/strategy.ts';
import { WHOLE } from '../setup/matrix.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { aDatabase, type Stage } from './database.ts';
import { Faults, type Moment } from './faults.ts';
import { Secrets } from './stage.ts';

const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
const PROXIES = ['http', 'postgres'] as const;
const EVERY = WHOLE ? 1 : 3;
const MOMENTS: readonly Moment[] = ['before', 'after'];

describe.skipIf(!moto.bin)(`interrupted at every message${moto.skipped}`, () => {
  const faults = new Faults();
  let server: Awaited<ReturnType<typeof startMoto>>;
  let secrets: Secrets;
  let stage: Stage;
  let endpoint: string;
  let proxied: object;
  let adminSecret: string;
  beforeAll(async () => {
    server = await startMoto();
    // The SDK itself would ask again, and hide that an answer was lost.
    Object.assign(process.env, awsEnvironment(server.url), { AWS_MAX_ATTEMPTS: '1' });
    secrets = new Secrets(server.url);
    stage = await aDatabase(secrets);
    endpoint = await faults.http(server.url);
    proxied = { port: await faults.postgres(Number(stage.secretOf().port)) };
    adminSecret = await secrets.create({ ...(await secrets.document(stage.adminSecret)), ...proxied });
  });
  afterAll(async () => {
    await faults.close();
    await stage?.drop();
    await server?.stop();
  });

  /** What the database accepts of a secret: the promise is that it is never nothing. */
  const accepted = async (arn: string, ...stages: string[]) => {
    for (const each of stages) {
      const document = await secrets.document(arn, each);
      if ('password' in document && (await stage.accepts(document))) return each;
    }
    return 'none';
  };

  /** One rotation; a step that fails is repeated, twice, once the trouble is over. @returns the steps that failed */
  const rotate = async (arn: string, stages: readonly string[]) => {
    const ClientRequestToken = await secrets.beginRotation(arn);
    const failed: string[] = [];
    for (const Step of STEPS) {
      // Every invocation as if by a fresh process, with its own connections.
      const env = awsEnvironment(endpoint);
      const invoke = () =>
        createRotationHandler('rotor-postgres', postgresStrategy, { env, log: silentLog })(
          { SecretId: arn, ClientRequestToken, Step },
          { awsRequestId: 'r', getRemainingTimeInMillis: () => 10_000 },
        );
      try {
        await invoke();
      } catch {
        failed.push(Step);
        expect(await accepted(arn, ...stages), `after ${Step}`).not.toBe('none');
        faults.heal();
        await invoke();
        await invoke();
      }
    }
    expect((await secrets.stages(arn))[ClientRequestToken]).toContain('AWSCURRENT');
    expect(await accepted(arn, 'AWSCURRENT')).toBe('AWSCURRENT');
    return failed;
  };

  test.each([
    // While its password is being replaced, a single user has either the old or the new one: both are in the secret.
    { strategy: 'a single user', alternating: false, stages: ['AWSCURRENT', 'AWSPENDING'] },
    { strategy: 'alternating users', alternating: true, stages: ['AWSCURRENT'] },
  ])(
    '$strategy: never locked out, and resumed to the end',
    async ({ alternating, stages }) => {
      const begin = async () => {
        await stage.sql(
          `DROP ROLE IF EXISTS ${stage.clone}; ALTER ROLE ${stage.user} PASSWORD 'first-password'`,
        );
        return secrets.create(
          stage.secretOf({ ...proxied, ...(alternating ? { masterarn: adminSecret } : {}) }),
        );
      };
      faults.heal();
      expect(await rotate(await begin(), stages)).toEqual([]);
      const messages = { ...faults.seen };
      expect(messages.http).toBeGreaterThan(8);
      expect(messages.postgres).toBeGreaterThan(10);
      const steps: Record<string, number> = {};
      for (const proxy of PROXIES) {
        for (let at = 1; at <= messages[proxy]; at += proxy === 'http' ? 1 : EVERY) {
          for (const moment of MOMENTS) {
            const arn = await begin();
            faults.cutAt(proxy, at, moment);
            const failed = await rotate(arn, stages);
            const where = `${proxy} message ${at} cut ${moment} the server had it`;
            // The last word of a connection to the database is a goodbye, which nobody has to hear.
            expect(failed.length, where).toBeLessThanOrEqual(1);
            if (proxy === 'http') expect(failed.length, where).toBe(1);
            for (const step of failed) steps[step] = (steps[step] ?? 0) + 1;
            faults.heal();
          }
        }
      }
      expect(Object.keys(steps).toSorted()).toEqual([
        'createSecret',
        'finishSecret',
        'setSecret',
        'testSecret',
      ]);
      expect(steps.setSecret, JSON.stringify(steps)).toBeGreaterThan((2 * messages.postgres) / EVERY / 4);
    },
    300_000,
  );
});
