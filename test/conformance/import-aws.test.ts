/**
 * `rotor import aws` against moto: what comes out passes `rotor validate` or says what is open, and has no secret in it.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownKinds } from '../../orchestrator/cli/manifest-files.ts';
import { importAws } from '../../orchestrator/import/aws/import.ts';
import { written } from '../../orchestrator/import/draft.ts';
import { writeFiles } from '../../orchestrator/import/write-files.ts';
import { loadManifests } from '../../orchestrator/manifests/load.ts';
import { manifestSchemas } from '../../orchestrator/manifests/schemas.ts';
import { type AwsFront, denied, startAwsFront } from '../doubles/aws/front.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';

const { skipped } = findMoto();
const registries = knownKinds();
const kinds = registries.rotators.map(({ kind }) => kind);
const PASSWORD = 'pl4nted-password';
let moto: Moto;
let front: AwsFront;
let folder: string;

beforeAll(async () => {
  if (skipped) return;
  moto = await startMoto();
  front = await startAwsFront(moto.port);
  Object.assign(process.env, awsEnvironment(front.url));
  folder = await mkdtemp(join(tmpdir(), 'rotor-import-'));
  const aws = new SecretsManager({ endpoint: moto.url });
  const postgres = {
    engine: 'postgres',
    host: 'db.example',
    port: '5433',
    dbname: 'shop',
    password: PASSWORD,
  };
  const secrets: readonly [string, string | object, object?][] = [
    [
      'prod/single',
      { ...postgres, username: 'app' },
      { ScheduleExpression: 'cron(0 3 ? * 1 *)', Duration: '2h' },
    ],
    ['prod/two', { ...postgres, username: 'app_clone', masterarn: 'arn:x' }, { AutomaticallyAfterDays: 7 }],
    ['prod/oracle', { ...postgres, engine: 'oracle', username: 'app' }, { AutomaticallyAfterDays: 7 }],
    ['prod/plain', PASSWORD, { AutomaticallyAfterDays: 30 }],
    ['prod/a+b', PASSWORD, { AutomaticallyAfterDays: 30 }],
    ['prod/still', PASSWORD],
  ];
  for (const [Name, value] of secrets) {
    const SecretString = typeof value === 'string' ? value : JSON.stringify(value);
    await aws.createSecret({ Name, SecretString });
  }
  // moto rotates only by functions that it runs itself: the front adds how AWS tells of a rotation (SecretListEntry).
  const rules = new Map(secrets.map(([name, , each]) => [name, each]));
  front.alter('ListSecrets', (body) => ({
    ...body,
    SecretList: (body.SecretList as { Name: string }[]).map((entry) => {
      const RotationRules = rules.get(entry.Name);
      const RotationLambdaARN = 'arn:aws:lambda:eu-central-1:123456789012:function:rotate';
      return RotationRules ? { ...entry, RotationEnabled: true, RotationLambdaARN, RotationRules } : entry;
    }),
  }));
});
afterAll(async () => {
  await front?.stop();
  await moto?.stop();
  if (folder) await rm(folder, { recursive: true });
});

async function imported(readValues: boolean) {
  const { found, shared, remarks } = await importAws({ region: 'eu-central-1', readValues }, kinds);
  return { ...written(found, shared, 'shop', manifestSchemas(registries)), remarks };
}

describe.skipIf(skipped !== '')(`rotor import aws${skipped}`, { timeout: 60_000 }, () => {
  test('without a flag reads no secret, and says what is open for that', async () => {
    front.seen.length = 0;
    const { report, remarks } = await imported(false);
    expect(front.seen.join()).not.toContain('GetSecretValue');
    expect(Object.fromEntries(report.map(({ found, result }) => [found, result]))).toEqual({
      'secret prod/single': 'partly',
      'secret prod/two': 'partly',
      'secret prod/oracle': 'partly',
      'secret prod/plain': 'partly',
      'secret prod/a+b': 'not mapped',
    });
    expect(report[0]?.why.join()).toContain('--read-values');
    expect(remarks).toEqual(['1 secrets that AWS does not rotate are left out']);
  });

  test('with it maps what is known, and writes no secret', async () => {
    const { report, files } = await imported(true);
    const of = (name: string) => report.find(({ found }) => found === `secret ${name}`);
    expect(of('prod/single')).toMatchObject({ result: 'imported', why: [] });
    expect(of('prod/two')?.why.join()).toMatch(/admin.*owner/);
    expect(of('prod/oracle')?.why.join()).toContain('oracle');
    expect(of('prod/plain')?.why.join()).toContain('no JSON');
    const text = JSON.stringify(files);
    expect(text).not.toContain(PASSWORD);
    expect(text).not.toContain(Buffer.from(PASSWORD).toString('base64'));

    const complete = files.filter(({ name }) => ['store-aws.yaml', 'prod-single.yaml'].includes(name));
    expect(await writeFiles(folder, complete)).toEqual([]);
    const manifests = await loadManifests([folder], registries);
    expect(manifests.map(({ kind, name, namespace }) => `${kind} ${namespace}/${name}`)).toEqual([
      'Provider shop/prod-single',
      'RotationPolicy shop/prod-single',
      'Store shop/aws',
    ]);
    expect(manifests[1]?.spec).toMatchObject({
      provider: 'prod-single',
      credential: { kind: 'postgres', spec: { mode: 'single-user', role: 'app' } },
      store: { name: 'aws', path: 'prod/single' },
      schedule: { cron: '0 3 * * 0', jitter: 7_200_000 },
      suspend: true,
    });
    // What a person has changed since stays.
    await writeFile(join(folder, 'prod-single.yaml'), '# mine\n');
    expect(await writeFiles(folder, complete)).toEqual(['store-aws.yaml', 'prod-single.yaml']);
    expect(await readFile(join(folder, 'prod-single.yaml'), 'utf8')).toBe('# mine\n');
    expect(await readdir(folder)).toHaveLength(2);
  });

  test('names the permission that is missing', async () => {
    front.answer('ListSecrets', denied('secretsmanager:ListSecrets', '*'));
    await expect(imported(false)).rejects.toMatchObject({
      code: 'store.permission-denied',
      message: expect.stringContaining('rotor import lacks secretsmanager:ListSecrets'),
    });
  });
});
