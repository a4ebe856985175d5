import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodings } from '../setup/encodings.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { aDatabase, type Stage } from './database.ts';
import { type Host, run, startHost } from './host.ts';
import { Secrets } from './stage.ts';

const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];

// The AWS CLI takes seconds to start on a busy machine.
describe.skipIf(!moto.bin)(
  `the function host before the AWS CLI and boto3${moto.skipped}`,
  { timeout: 240_000 },
  () => {
    let server: Awaited<ReturnType<typeof startMoto>>;
    let secrets: Secrets;
    let stage: Stage;
    let host: Host;
    let folder: string;
    let env: Record<string, string>;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'rotor-functions-'));
      server = await startMoto();
      // moto takes any key; the host takes this one alone.
      env = { ...awsEnvironment(server.url), AWS_SECRET_ACCESS_KEY: 'the-key-by-which-callers-sign' };
      secrets = new Secrets(server.url);
      stage = await aDatabase(secrets);
      const key = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY };
      await writeFile(join(folder, 'key.json'), JSON.stringify(key));
      host = await startHost(['--access-key-file', join(folder, 'key.json')], env);
    });
    afterAll(async () => {
      await host?.stop();
      await stage?.drop();
      await server?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    /** @returns what the CLI prints, and the payload that came back */
    const invoke = async (functionName: string, event: object, more: readonly string[] = [], using = env) => {
      const out = join(folder, 'out.json');
      await rm(out, { force: true });
      const args = ['lambda', 'invoke', '--endpoint-url', host.url, '--function-name', functionName];
      const payload = ['--payload', JSON.stringify(event)];
      const { code, stdout, stderr } = await run(
        join(moto.bin, 'aws'),
        [...args, ...payload, ...more, out],
        using,
      );
      return {
        code,
        stderr,
        printed: code === 0 ? JSON.parse(stdout) : {},
        payload: await readFile(out, 'utf8').catch(() => ''),
      };
    };

    test('aws lambda invoke performs the four steps, each twice, for two users who take turns', async () => {
      const arn = await secrets.create(stage.secretOf({ masterarn: stage.adminSecret }));
      const ClientRequestToken = await secrets.beginRotation(arn);
      for (const Step of STEPS) {
        for (const _ of [1, 2]) {
          const { printed, payload } = await invoke('rotor-postgres', {
            SecretId: arn,
            ClientRequestToken,
            Step,
          });
          expect(printed).toEqual({ StatusCode: 200, ExecutedVersion: '$LATEST' });
          expect(payload).toBe('null');
          expect(await stage.accepts(await secrets.document(arn))).toBe(true);
        }
      }
      const current = await secrets.document(arn);
      expect(current.username).toBe(stage.clone);
      expect((await secrets.stages(arn))[ClientRequestToken]).toContain('AWSCURRENT');
      for (const password of ['first-password', 'admin-password', String(current.password)])
        for (const written of encodings(password)) expect(host.log()).not.toContain(written);
    });

    test('boto3 rotates a generated value, and the answer says what is wrong with an event', async () => {
      const arn = await secrets.create('old-value');
      const token = await secrets.beginRotation(arn);
      const program = `
import boto3, json, sys
client = boto3.client('lambda', endpoint_url=sys.argv[1])
out = []
for step in ['createSecret', 'setSecret', 'testSecret', 'finishSecret', 'dropSecret']:
    answer = client.invoke(FunctionName='arn:aws:lambda:eu-central-1:123456789012:function:rotor-random', LogType='Tail',
        Payload=json.dumps({'SecretId': sys.argv[2], 'ClientRequestToken': sys.argv[3], 'Step': step}))
    out.append([answer['StatusCode'], answer.get('FunctionError'), json.loads(answer['Payload'].read()), 'LogResult' in answer])
try:
    client.invoke(FunctionName='nobody', Payload='{}')
except client.exceptions.ResourceNotFoundException as error:
    out.append(error.response['Error']['Message'])
print(json.dumps(out))`;
      await writeFile(join(folder, 'rotate.py'), program);
      const { stdout, stderr } = await run(
        join(moto.bin, 'python'),
        [join(folder, 'rotate.py'), host.url, arn, token],
        env,
      );
      expect(stderr).toBe('');
      const [create, set, tested, finish, drop, nobody] = JSON.parse(stdout) as unknown[][];
      for (const step of [create, set, tested, finish]) expect(step).toEqual([200, null, null, true]);
      expect(drop).toEqual([
        200,
        'Unhandled',
        { errorType: 'function.invalid-event', errorMessage: expect.stringContaining('createSecret') },
        true,
      ]);
      expect(nobody).toBe('Function not found: nobody:$LATEST');
      expect(await secrets.read(arn, 'AWSCURRENT')).toMatch(/^[\x21-\x7e]{32}$/);
      expect(await secrets.read(arn, 'AWSPREVIOUS')).toBe('old-value');
    });

    test('a request that is signed with another key, or with none, is refused before any function sees it', async () => {
      const forged = await invoke('rotor-random', {}, [], {
        ...env,
        AWS_SECRET_ACCESS_KEY: 'not-the-key-that-was-given',
      });
      expect(forged.code).not.toBe(0);
      expect(forged.stderr).toContain('AccessDeniedException');
      const unsigned = await invoke('rotor-random', {}, ['--no-sign-request']);
      expect(unsigned.stderr).toContain('AccessDeniedException');
      const signed = await invoke('rotor-random', {});
      expect(signed.printed).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled' });
    });

    test('DryRun and Event answer as Lambda does, and an event that nobody waits for is carried out', async () => {
      const arn = await secrets.create('old-value');
      const ClientRequestToken = await secrets.beginRotation(arn);
      const event = { SecretId: arn, ClientRequestToken, Step: 'createSecret' };
      expect((await invoke('rotor-random', event, ['--invocation-type', 'DryRun'])).printed).toEqual({
        StatusCode: 204,
      });
      expect(await secrets.read(arn, 'AWSPENDING').catch(() => undefined)).toBeUndefined();
      expect((await invoke('rotor-random', event, ['--invocation-type', 'Event'])).printed).toEqual({
        StatusCode: 202,
      });
      await expect
        .poll(() => secrets.read(arn, 'AWSPENDING'), { timeout: 20_000 })
        .toMatch(/^[\x21-\x7e]{32}$/);
    });
  },
);

test('the functions end with their host, even when it is killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-functions-'));
  await writeFile(join(folder, 'pid.mjs'), 'export const handler = () => process.pid;');
  await writeFile(join(folder, 'f.yaml'), 'functions: [{ name: pid, handler: ./pid.mjs }]');
  const host = await startHost(['--functions', join(folder, 'f.yaml')], {});
  const answer = await fetch(`${host.url}/http/pid`, { method: 'POST' });
  const pid = (await answer.json()) as number;
  const isAlive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  expect(isAlive()).toBe(true);
  await host.kill();
  await expect.poll(isAlive, { timeout: 20_000 }).toBe(false);
  await rm(folder, { recursive: true, force: true });
}, 120_000);
