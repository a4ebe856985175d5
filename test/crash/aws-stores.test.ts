import { randomUUID } from 'node:crypto';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { SSM } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Keyring } from '../../core/seal-keyring.ts';
import { noLedger } from '../../ledger/database.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { type AwsFront, startAwsFront } from '../doubles/aws/front.ts';
import { type AwsReader, startAwsReader } from '../setup/aws-reader.ts';
import { sampled } from '../setup/matrix.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';
import { STAGELESS } from './stageless-kinds.ts';

/** A call of the store at which a worker dies: before AWS gets it, and after AWS has done it. */
interface Point {
  readonly operation: string;
  /** Part of the request that tells it from others of the operation. */
  readonly with?: string;
}

interface Kind {
  readonly store: (name: string) => RotationSpec['store'];
  readonly put: (name: string, document: string) => Promise<unknown>;
  readonly current: (name: string) => Promise<string>;
  readonly points: readonly Point[];
}

const { skipped } = findMoto();
let moto: Moto;
let front: AwsFront;
let stage: Stage | undefined;
let reader: AwsReader | undefined;

beforeAll(async () => {
  if (skipped) return;
  moto = await startMoto();
  front = await startAwsFront(moto.port);
  // For the workers and the reader, which are processes of this one.
  Object.assign(process.env, awsEnvironment(front.url));
});
afterEach(async () => {
  delete front?.before;
  delete front?.after;
  await reader?.stop();
  await stage?.stop();
  [reader, stage] = [undefined, undefined];
});
afterAll(async () => {
  await front?.stop();
  await moto?.stop();
});

const KINDS: Readonly<Record<'secret' | 'parameter', Kind>> = {
  secret: {
    store: (path) => ({ kind: 'awsSecretsManager', spec: {}, path }),
    put: (Name, SecretString) => new SecretsManager({}).createSecret({ Name, SecretString }),
    current: async (SecretId) => {
      const found = await new SecretsManager({}).getSecretValue({ SecretId, VersionStage: 'AWSCURRENT' });
      return found.SecretString ?? '';
    },
    points: [
      { operation: 'PutSecretValue' },
      { operation: 'UpdateSecretVersionStage', with: 'AWSCURRENT' },
      { operation: 'UpdateSecretVersionStage', with: 'AWSPENDING' },
    ],
  },
  parameter: {
    store: (name) => ({ kind: 'awsParameterStore', spec: {}, path: name.slice(1) }),
    put: async (Name, Value) => {
      const ssm = new SSM({});
      await ssm.putParameter({ Name, Value, Type: 'SecureString' });
      // As its consumers read it; Rotor would set it at its first rotation.
      await ssm.labelParameterVersion({ Name, Labels: ['rotor-current'] });
    },
    current: async (name) => {
      const found = await new SSM({}).getParameter({ Name: `${name}:rotor-current`, WithDecryption: true });
      return found.Parameter?.Value ?? '';
    },
    points: [
      { operation: 'PutParameter', with: 'SecureString' },
      { operation: 'LabelParameterVersion', with: 'rotor-pending' },
      { operation: 'PutParameter', with: 'rotor-promoting' },
      { operation: 'LabelParameterVersion', with: 'rotor-previous' },
      { operation: 'LabelParameterVersion', with: 'rotor-current' },
      { operation: 'UnlabelParameterVersion' },
      { operation: 'DeleteParameter' },
    ],
  },
};

test('every registered store is in a crash matrix', () => {
  const tried = [
    // The matrix of every step and boundary: crash-matrix.test.ts.
    'local',
    // stores-kubernetes.test.ts, stores-vault.test.ts
    'kubernetes',
    'vault',
    // stores-latest.test.ts
    'azureKeyVault',
    'gcpSecretManager',
    // stores-stageless.test.ts
    ...Object.keys(STAGELESS),
    ...Object.values(KINDS).map((kind) => kind.store('').kind),
  ];
  const shelf = { keyring: Keyring.generate(), ledger: noLedger };
  const registered = allStores(shelf).map(({ kind }) => kind);
  expect(tried.sort()).toEqual(registered.sort());
});

/** Kills the worker when a call comes by; the call is passed on (`after`) or never reaches AWS (`before`). */
async function killedAt(worker: () => Promise<StartedWorker>, point: Point, when: 'before' | 'after') {
  let hit = false;
  front[when] = async (operation, body) => {
    if (hit || operation !== point.operation || !JSON.stringify(body).includes(point.with ?? '')) return;
    hit = true;
    const { process: doomed, exited } = await worker();
    doomed.kill('SIGKILL');
    await exited;
    // The connection went with the process: nobody is there to pass the request on for.
    if (when === 'before') throw new Error('the caller is dead');
  };
  await expect.poll(() => hit, { timeout: 30_000, message: `${when} ${JSON.stringify(point)}` }).toBe(true);
  delete front[when];
}

test.skipIf(skipped !== '').each(['secret', 'parameter'] as const)(
  `a %s: workers killed before and after each call of the store; whoever reads it itself is never refused${skipped}`,
  { timeout: 240_000 },
  async (which) => {
    const kind = KINDS[which];
    const name = `/shop/${randomUUID()}`;
    stage = await setStage((ledgerUrl) => ledgerUrl, { store: kind.store(name) });
    const { app, client, spec } = stage;
    await kind.put(
      name,
      JSON.stringify({
        engine: 'postgres',
        host: '127.0.0.1',
        port: app.port,
        dbname: app.name,
        ...app.initial,
        masterarn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin',
      }),
    );
    reader = await startAwsReader(which, name);
    // Who reads the secret right before it changes logs in a moment later: that is what the grace time is for.
    const id = await stage.startRotation({ settle: { ...spec.settle, graceMs: 2_000 } });
    for (const point of sampled(kind.points, 2)) {
      for (const when of ['before', 'after'] as const) {
        // It may come by before it has said that it is ready.
        const worker = stage.startWorker();
        await killedAt(() => worker, point, when);
        expect(await (await worker).exited).toBe('SIGKILL');
      }
    }
    await stage.startWorker();
    const rotation = await stage.ended(id);
    const told = await stage.journal(id);
    expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
    const document = JSON.parse(await kind.current(name)) as Record<string, unknown>;
    expect(document).toMatchObject({
      username: app.roles[1],
      port: app.port,
      masterarn: expect.stringContaining('secret:admin'),
    });
    const moved = reader;
    await expect.poll(() => moved.logins.at(-1), { timeout: 20_000 }).toBe(app.roles[1]);
    expect(moved.refusals, told).toEqual([]);
    expect(moved.logins).toContain(app.roles[0]);
    expect(client.refusals, told).toEqual([]);
    expect(client.held()).toMatchObject({ username: app.roles[1], versionId: rotation.newVersion });
    expect(document.password).toBe(client.held().password);
    expect(told).toContain('"oldRefused":true');
    expect(await reader.stop()).toBe('');
    reader = undefined;
  },
);
