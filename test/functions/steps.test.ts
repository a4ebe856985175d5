import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog, silentLog } from '../../core/log.ts';
import { Deadline } from '../../core/retry.ts';
import { createRotationHandler } from '../../functions/lambda/handler.ts';
import { SecretsManager } from '../../functions/lambda/secrets-manager.ts';
import { postgresStrategy } from '../../functions/postgres/strategy.ts';
import { randomStrategy } from '../../functions/random/strategy.ts';
import { encodings } from '../setup/encodings.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { startTcpProxy } from '../setup/tcp-proxy.ts';
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

  test('a clone that AWS made before keeps its settings; one that is made here leaves no objects of its own behind', async () => {
    const arn = await secrets.create(stage.secretOf({ masterarn: stage.adminSecret }));
    await stage.sql(`DROP ROLE IF EXISTS ${stage.clone}`);
    await rotate(arn);
    const clone = await secrets.document(arn);
    await asUser(clone, 'CREATE TABLE made_by_clone ()');
    const [made] = await stage.sql<{ owner: string }>(
      `SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'made_by_clone'`,
    );
    expect(made?.owner).toBe(stage.user);
    await stage.sql(`DROP TABLE made_by_clone`);
    await stage.sql(`DROP ROLE ${stage.clone}`);
    const admin = await secrets.document(stage.adminSecret);
    await asUser(admin, `CREATE ROLE ${stage.clone} LOGIN; GRANT ${stage.user} TO ${stage.clone}`);
    const other = await secrets.create(stage.secretOf({ masterarn: stage.adminSecret }));
    await rotate(other);
    await asUser(await secrets.document(other), 'CREATE TABLE made_as_itself ()');
    const [kept] = await stage.sql<{ owner: string }>(
      `SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'made_as_itself'`,
    );
    expect(kept?.owner).toBe(stage.clone);
    await stage.sql(`DROP TABLE made_as_itself`);
    await stage.sql(`DROP ROLE ${stage.clone}`);
  });

  test('a single user whose current password is dead is saved by the previous one', async () => {
    const arn = await secrets.create(stage.secretOf());
    await rotate(arn);
    const before = await secrets.document(arn);
    await rotate(arn);
    // As after a restored backup of the database.
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD '${before.password}'`);
    await rotate(arn);
    expect(await stage.accepts(await secrets.document(arn))).toBe(true);
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'nobody-knows-it'`);
    await expect(rotate(arn)).rejects.toMatchObject({
      name: 'provider.refused-credential',
      message: expect.stringMatching(/pending, current or previous password/),
    });
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
  });

  test.each([
    ['another user', { username: 'postgres' }, {}, /of user postgres/],
    ['another host', { host: '127.0.0.2' }, {}, /another host/],
    ['another port', { port: 1 }, {}, /another port/],
    ['two users, the same one', {}, { masterarn: 'arn:any' }, /is to be changed/],
  ])(
    'whoever can write a pending version of %s gets nobody to change it',
    async (_name, wrong, more, words) => {
      const arn = await secrets.create(stage.secretOf(more));
      const ClientRequestToken = await secrets.beginRotation(arn);
      await secrets.put(arn, ClientRequestToken, stage.secretOf({ ...more, ...wrong }));
      await expect(
        handlerWith()({ SecretId: arn, ClientRequestToken, Step: 'setSecret' }, context),
      ).rejects.toMatchObject({ name: 'provider.refused-credential', message: expect.stringMatching(words) });
      expect(await stage.accepts(stage.secretOf())).toBe(true);
    },
  );

  test('the admin works only for who knows a password of the database, and only where it is at home itself', async () => {
    const stranger = await secrets.create(
      stage.secretOf({ password: 'guessed', masterarn: stage.adminSecret }),
    );
    await expect(rotate(stranger)).rejects.toMatchObject({
      name: 'provider.refused-credential',
      message: expect.stringMatching(/current credential .* does not log in/),
    });
    const elsewhere = await secrets.create({
      ...(await secrets.document(stage.adminSecret)),
      host: 'elsewhere.example',
    });
    const arn = await secrets.create(stage.secretOf({ masterarn: elsewhere }));
    await expect(rotate(arn)).rejects.toMatchObject({
      message: expect.stringMatching(/admin secret names another host/),
    });
    expect(await stage.sql(`SELECT FROM pg_roles WHERE rolname = '${stage.clone}'`)).toEqual([]);
  });

  test('"ssl": true is never let go of, and false never asks for it', async () => {
    const strict = await secrets.create(stage.secretOf({ ssl: true }));
    await expect(rotate(strict)).rejects.toMatchObject({ name: 'provider.tls' });
    const plain = await secrets.create(stage.secretOf({ ssl: 'false' }));
    await rotate(plain);
    expect(await stage.accepts(await secrets.document(plain))).toBe(true);
    await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
  });

  test('two createSecret at once stage one password', async () => {
    const arn = await secrets.create(stage.secretOf());
    const ClientRequestToken = await secrets.beginRotation(arn);
    const event = { SecretId: arn, ClientRequestToken, Step: 'createSecret' };
    await Promise.all([1, 2, 3, 4].map(() => handlerWith()(event, context)));
    const staged = await secrets.document(arn, 'AWSPENDING');
    await handlerWith()(event, context);
    expect(await secrets.document(arn, 'AWSPENDING')).toEqual(staged);
    expect(staged.password).not.toBe('first-password');
  });

  test('a version without contents never becomes current', async () => {
    const arn = await secrets.create(stage.secretOf());
    const ClientRequestToken = await secrets.beginRotation(arn);
    await expect(
      handlerWith()({ SecretId: arn, ClientRequestToken, Step: 'finishSecret' }, context),
    ).rejects.toMatchObject({ name: 'store.not-found' });
    expect(await secrets.document(arn)).toEqual(stage.secretOf());
  });

  test.each(['PutSecretValue', 'UpdateSecretVersionStage'])(
    'a lost answer to %s is no failure: it is asked for again, or looked at',
    async (operation) => {
      const proxy = await startTcpProxy(Number(new URL(server.url).port));
      const arn = await secrets.create(stage.secretOf());
      const ClientRequestToken = await secrets.beginRotation(arn);
      const handler = handlerWith({ SECRETS_MANAGER_ENDPOINT: `http://127.0.0.1:${proxy.port}` });
      proxy.cutAfter(operation);
      for (const Step of STEPS) await handler({ SecretId: arn, ClientRequestToken, Step }, context);
      expect(proxy.pending()).toBe(false);
      expect((await secrets.stages(arn))[ClientRequestToken]).toContain('AWSCURRENT');
      expect(await stage.accepts(await secrets.document(arn))).toBe(true);
      await proxy.close();
      await stage.sql(`ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
    },
  );

  test('a label that somebody else moves meanwhile is not taken back from them', async () => {
    const arn = await secrets.create(stage.secretOf());
    const mine = await secrets.beginRotation(arn);
    const before = Object.entries(await secrets.stages(arn)).find(([, labels]) =>
      labels.includes('AWSCURRENT'),
    );
    const manager = new SecretsManager(awsEnvironment(server.url));
    await secrets.put(arn, mine, stage.secretOf());
    await secrets.promote(arn, 'by-somebody-else-in-the-same-moment-x', before?.[0] ?? '', stage.secretOf());
    await expect(manager.promote(arn, mine, before?.[0], Deadline.after(10_000))).rejects.toMatchObject({
      code: 'store.conflict',
    });
    expect((await secrets.stages(arn))[mine]).not.toContain('AWSCURRENT');
  });

  test('no step starts that would not be done before Lambda ends the function', async () => {
    const arn = await secrets.create(stage.secretOf());
    const ClientRequestToken = await secrets.beginRotation(arn);
    const late = { awsRequestId: 'r-1', getRemainingTimeInMillis: () => 400 };
    await expect(
      handlerWith()({ SecretId: arn, ClientRequestToken, Step: 'createSecret' }, late),
    ).rejects.toMatchObject({ name: 'call.timeout' });
  });

  test('no password is in a log line or an error, whatever goes wrong', async () => {
    const written: string[] = [];
    const log = createLog('test', {
      level: 'trace',
      destination: { write: (line: string) => void written.push(line) },
    });
    const passwords = new Set(['first-password', 'admin-password']);
    const arn = await secrets.create(stage.secretOf({ masterarn: stage.adminSecret }));
    const wrong = await secrets.create(
      stage.secretOf({ password: 'marker-wrong', masterarn: stage.adminSecret }),
    );
    const broken = await secrets.create('{"password":"marker-broken", "engine":');
    for (const secret of [arn, arn, wrong, broken]) {
      const handler = createRotationHandler('rotor-postgres', postgresStrategy, {
        env: awsEnvironment(server.url),
        log,
      });
      const ClientRequestToken = await secrets.beginRotation(secret);
      for (const Step of STEPS)
        await handler({ SecretId: secret, ClientRequestToken, Step }, context).catch((error: Error) =>
          written.push(inspect(error, { depth: 9, showHidden: true })),
        );
      for (const each of ['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS']) {
        const text = await secrets.read(secret, each).catch(() => undefined);
        const password = /"password":"([^"]+)"/.exec(text ?? '')?.[1];
        if (password) passwords.add(password);
      }
    }
    expect(passwords.size).toBeGreaterThan(5);
    expect(written.length).toBeGreaterThan(10);
    for (const password of passwords)
      for (const form of encodings(password)) expect(written.join('\n')).not.toContain(form);
    await stage.sql(`DROP ROLE IF EXISTS ${stage.clone}; ALTER ROLE ${stage.user} PASSWORD 'first-password'`);
  });

  describe('a generated value', () => {
    const generate = async (value: string | object, env: Record<string, string> = {}) => {
      const arn = await secrets.create(value);
      const ClientRequestToken = await secrets.beginRotation(arn);
      const handler = createRotationHandler('rotor-random', randomStrategy, {
        env: { ...awsEnvironment(server.url), ...env },
        log: silentLog,
      });
      for (const Step of STEPS) await handler({ SecretId: arn, ClientRequestToken, Step }, context);
      return (await secrets.read(arn, 'AWSCURRENT')) ?? '';
    };

    test('is replaced as a whole, or in the field that is named', async () => {
      expect(await generate('old', { PASSWORD_LENGTH: '48', EXCLUDE_PUNCTUATION: 'true' })).toMatch(
        /^[A-Za-z0-9]{48}$/,
      );
      const document = JSON.parse(await generate({ key: 'old', id: 7 }, { SECRET_FIELD: 'key' }));
      expect(document).toEqual({ key: expect.stringMatching(/^[!-~]{32}$/), id: 7 });
    });

    test.each([
      [{ key: 'old' }, {}, /which of its fields/],
      [{ key: 'old' }, { SECRET_FIELD: 'kee' }, /no field of this name/],
      ['old', { SECRET_FIELD: 'key' }, /no field of this name/],
    ])('never takes a guess (%j with %j)', async (value, env, words) => {
      await expect(generate(value, env as Record<string, string>)).rejects.toMatchObject({
        name: 'config.invalid',
        message: expect.stringMatching(words),
      });
    });
  });
});

/** Statements of a user, in its own session. */
async function asUser(
  { username, password, host, port, dbname }: Record<string, unknown>,
  text: string,
): Promise<void> {
  const client = new pg.Client({
    host: String(host),
    port: Number(port),
    database: String(dbname),
    user: String(username),
    password: String(password),
  });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
