import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type AwsFront, denied, startAwsFront } from '../doubles/aws/front.ts';
import { type AwsReader, startAwsReader } from '../setup/aws-reader.ts';
import { encodings } from '../setup/encodings.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { type RunningRotor, startRotor } from '../setup/rotor-process.ts';

const { skipped } = findMoto();
let moto: Moto;
let front: AwsFront;
let app: Application;
let rotor: RunningRotor | undefined;
let reader: AwsReader | undefined;

beforeAll(async () => {
  if (skipped) return;
  moto = await startMoto();
  front = await startAwsFront(moto.port);
  Object.assign(process.env, awsEnvironment(front.url));
  app = await anApplication();
  await chmod(app.folder, 0o755);
});
afterEach(async () => {
  await reader?.stop();
  await rotor?.stop();
  [reader, rotor] = [undefined, undefined];
});
afterAll(async () => {
  await front?.stop();
  await moto?.stop();
  await app?.drop();
});

function manifests(): string {
  const head = (kind: string, name: string) => ({
    apiVersion: 'rotor.dev/v1alpha1',
    kind,
    metadata: { name },
  });
  const { hosts, database, ...provider } = app.provider() as Record<string, unknown>;
  return [
    { ...head('Store', 'aws'), spec: { awsSecretsManager: { prefix: 'prod/' } } },
    { ...head('Provider', 'db'), spec: { postgres: { ...provider, hosts, database } } },
    {
      ...head('RotationPolicy', 'orders'),
      spec: {
        provider: 'db',
        credential: { postgres: { mode: 'alternating-users', roles: app.roles, owner: app.owner } },
        store: { name: 'aws', path: 'shop/orders' },
        // Who reads the secret right before it changes logs in a moment later.
        settle: { grace: '2s', evidence: 'sessions', timeout: '1m' },
      },
    },
  ]
    .map((manifest) => stringify(manifest))
    .join('---\n');
}

test.skipIf(skipped !== '')(
  `from manifests to a proven rotation of a secret in AWS, read all the time by boto3 without one refusal${skipped}`,
  { timeout: 180_000 },
  async () => {
    rotor = await startRotor(join(app.folder, 'home'));
    const applied = await rotor.run(['apply', '-f', '-'], manifests());
    expect(applied, applied.stderr).toMatchObject({ code: 0 });
    const early = await rotor.run(['plan', 'orders']);
    expect(early.stdout + early.stderr).toMatch(/secret prod\/shop\/orders doesn't exist/);
    expect(early.code).toBe(1);

    const aws = new SecretsManager({});
    const document = {
      engine: 'postgres',
      host: '127.0.0.1',
      port: app.port,
      dbname: app.name,
      ...app.initial,
    };
    const SecretId = 'prod/shop/orders';
    await aws.createSecret({
      Name: SecretId,
      SecretString: JSON.stringify({ ...document, ssl: false, team: 'shop' }),
      Tags: [{ Key: 'team', Value: 'shop' }],
    });
    const planned = await rotor.run(['plan', 'orders']);
    expect(planned.code, planned.stdout + planned.stderr).toBe(0);

    reader = await startAwsReader('secret', SecretId);
    // Until somebody grants it, nothing is changed and the message says what to grant.
    const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/shop/orders-a1b2c3';
    front.answer('PutSecretValue', denied('secretsmanager:PutSecretValue', arn));
    const refused = await rotor.run(['rotate', 'orders', '--wait']);
    expect(refused.code).toBe(3);
    expect(refused.stdout + refused.stderr).toContain(
      `the workers lack secretsmanager:PutSecretValue on ${arn}`,
    );

    const users = [];
    for (const _ of [1, 2]) {
      const rotated = await rotor.run(['-o', 'json', 'rotate', 'orders', '--wait']);
      expect(rotated.code, rotated.stderr).toBe(0);
      const { newVersion } = JSON.parse(rotated.stdout) as { newVersion?: string };
      const current = await aws.getSecretValue({ SecretId, VersionStage: 'AWSCURRENT' });
      if (newVersion) expect(current.VersionId).toBe(newVersion);
      const stored = JSON.parse(current.SecretString ?? '') as Record<string, string>;
      expect(stored).toMatchObject({ port: app.port, ssl: false, team: 'shop', engine: 'postgres' });
      users.push(stored.username);
      for (const look of [rotated, await rotor.run(['describe', 'policy', 'orders'])])
        for (const form of encodings(stored.password ?? ''))
          expect(look.stdout + look.stderr).not.toContain(form);
      const moved = reader;
      await expect.poll(() => moved.logins.at(-1), { timeout: 20_000 }).toBe(stored.username);
    }
    expect(users).toEqual([app.roles[1], app.roles[0]]);
    expect(reader.refusals).toEqual([]);
    expect(reader.logins.length).toBeGreaterThan(10);
    expect((await aws.describeSecret({ SecretId })).Tags).toEqual([{ Key: 'team', Value: 'shop' }]);
    expect(await reader.stop()).toBe('');
    reader = undefined;
  },
);
