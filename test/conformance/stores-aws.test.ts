import { randomUUID } from 'node:crypto';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { SSM } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { awsParameterStore } from '../../stores/aws-parameter-store/store.ts';
import { awsSecretsManagerStore } from '../../stores/aws-secrets-manager/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { type AwsFront, denied, INTERNAL, startAwsFront, THROTTLED } from '../doubles/aws/front.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { callWith } from './stores-calls.ts';

const { skipped } = findMoto();
const path = 'shop/app';
const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()] as const;
const text = (name: string) => SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}` }));

let moto: Moto;
let front: AwsFront;
let passed = 0;

beforeAll(async () => {
  if (skipped) return;
  moto = await startMoto();
});
afterAll(async () => {
  console.table([{ server: skipped || 'double: front of moto', 'cases passed': passed }]);
  await moto?.stop();
});
beforeEach(async () => {
  if (skipped) return;
  front = await startAwsFront(moto.port);
  Object.assign(process.env, awsEnvironment(front.url));
  return front.stop;
});

function promise(title: string, keep: () => Promise<void>): void {
  test.skipIf(skipped !== '')(`${title}${skipped}`, async () => {
    await keep();
    passed += 1;
  });
}

/** A secret with `a` current and `b` pending, and a store that reaches it through the front. */
async function withAAndB(): Promise<{ store: StoreSession; name: string; aws: SecretsManager }> {
  const kind = awsSecretsManagerStore();
  const prefix = `${randomUUID()}/`;
  const store = kind.open(kind.spec.parse({ prefix, create: true }));
  await store.stage(callWith(1n), path, a, text('a'));
  await store.promote(callWith(1n), path, a, undefined);
  await store.stage(callWith(1n), path, b, text('b'));
  front.seen.length = 0;
  return { store, name: `${prefix}${path}`, aws: new SecretsManager({ endpoint: moto.url }) };
}

/** The same in Parameter Store. */
async function parameterWithAAndB(): Promise<{ store: StoreSession; name: string; aws: SSM }> {
  const kind = awsParameterStore();
  const prefix = `/${randomUUID()}/`;
  const store = kind.open(kind.spec.parse({ prefix, create: true }));
  await store.stage(callWith(1n), path, a, text('a'));
  await store.promote(callWith(1n), path, a, undefined);
  await store.stage(callWith(1n), path, b, text('b'));
  front.seen.length = 0;
  return { store, name: `${prefix}${path}`, aws: new SSM({ endpoint: moto.url }) };
}

const current = async (store: StoreSession) => (await store.read(callWith(0n), path, 'current'))?.versionId;
const thrownBy = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: RotorError) => error,
  );

for (const { kind, make, put, promoteBy, service } of [
  {
    kind: 'awsSecretsManager',
    make: withAAndB,
    put: 'PutSecretValue',
    promoteBy: 'UpdateSecretVersionStage',
    service: 'secretsmanager',
  },
  {
    kind: 'awsParameterStore',
    make: parameterWithAAndB,
    put: 'PutParameter',
    promoteBy: 'LabelParameterVersion',
    service: 'ssm',
  },
] as const) {
  promise(`${kind}: throttled calls are sent again, and no more than the deadline allows`, async () => {
    const { store } = await make();
    front.answer(put, THROTTLED, 2);
    await store.stage(callWith(1n), path, c, text('c'));
    expect(front.seen.filter((each) => each.startsWith(put)).slice(0, 3)).toEqual([
      `${put} ThrottlingException`,
      `${put} ThrottlingException`,
      `${put} 200`,
    ]);
    front.answer(promoteBy, THROTTLED, 1_000);
    const error = await thrownBy(store.promote(callWith(1n, 1_500), path, c, a));
    expect(error).toMatchObject({ code: 'store.throttled', kind: 'retryable' });
    expect(await current(store)).toBe(a);
  });

  promise(`${kind}: a missing permission is named, with the resource that AWS names`, async () => {
    const { store } = await make();
    const arn = `arn:aws:${service}:eu-central-1:123456789012:thing/shop/app`;
    front.answer(put, denied(`${service}:${put}`, arn));
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error).toMatchObject({ code: 'store.permission-denied', kind: 'terminal' });
    expect(error?.message).toContain(`the workers lack ${service}:${put} on ${arn}`);
    expect(error?.hint).toContain(`Allow ${service}:${put} on ${arn}`);
    front.answer(promoteBy, { type: 'AccessDeniedException', message: 'no' });
    const unnamed = await thrownBy(store.promote(callWith(1n), path, b, a));
    expect(unnamed?.message).toContain(`the workers lack ${service}:${promoteBy}`);
  });

  promise(`${kind}: a key that the workers may not use is named as such`, async () => {
    const { store } = await make();
    const message = 'Access to KMS is not allowed';
    front.answer(put, { type: 'AccessDeniedException', message });
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error?.message).toContain('the workers lack kms:Decrypt and kms:GenerateDataKey');
  });

  promise(`${kind}: credentials that AWS doesn't know are no reason to wait`, async () => {
    const { store } = await make();
    front.answer(put, {
      type: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    });
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error).toMatchObject({ code: 'store.refused', kind: 'terminal' });
  });

  for (const when of ['before', 'after'] as const) {
    promise(
      `${kind}: a connection cut ${when} the request was taken is probed, and the change is made once`,
      async () => {
        const { store } = await make();
        front.cut(put, when);
        await store.stage(callWith(1n), path, c, text('c'));
        const puts = front.seen.filter((each) => each.startsWith(put));
        expect(puts).toEqual(when === 'before' ? [`${put} cut`, `${put} 200`] : [`${put} cut`]);
        expect((await store.read(callWith(0n), path, 'pending'))?.document.equals(text('c'))).toBe(true);
        front.cut(promoteBy, when);
        await store.promote(callWith(1n), path, c, a);
        expect(await current(store)).toBe(c);
        expect((await store.read(callWith(0n), path, 'previous'))?.versionId).toBe(a);
      },
    );
  }

  promise(
    `${kind}: an error of AWS's own is probed too, and what stays unknown is told as unknown`,
    async () => {
      const { store } = await make();
      front.answer(promoteBy, INTERNAL);
      await store.promote(callWith(1n), path, b, a);
      expect(await current(store)).toBe(b);
      front.answer(promoteBy, INTERNAL, 1_000);
      const error = await thrownBy(store.promote(callWith(1n, 3_000), path, a, b));
      expect(error).toMatchObject({ code: 'store.unavailable' });
      expect(await current(store)).toBe(b);
    },
  );

  promise(`${kind}: no error shows what was stored`, async () => {
    const { store } = await make();
    const marker = 'marker-7f3a';
    front.answer(put, {
      type: 'ValidationException',
      message: `Value '${marker}' failed to satisfy constraint`,
    });
    const error = await thrownBy(store.stage(callWith(1n), path, c, SecretValue.of(marker)));
    expect(error?.code).toBe('store.unavailable');
    expect(`${error?.message} ${error?.hint} ${error?.stack} ${JSON.stringify(error)}`).not.toContain(marker);
    expect(error?.cause).toBeUndefined();
  });
}

promise(
  'a label that somebody else moves between the look and the move is a conflict, and stays there',
  async () => {
    const { store, name, aws } = await withAAndB();
    await aws.putSecretValue({
      SecretId: name,
      SecretString: '{}',
      ClientRequestToken: c,
      VersionStages: ['OTHER'],
    });
    let moved = false;
    front.before = async (operation) => {
      if (operation !== 'UpdateSecretVersionStage' || moved) return;
      moved = true;
      await aws.updateSecretVersionStage({
        SecretId: name,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: c,
        RemoveFromVersionId: a,
      });
    };
    const error = await thrownBy(store.promote(callWith(1n), path, b, a));
    expect(error).toMatchObject({ code: 'store.conflict', kind: 'terminal' });
    expect(error?.message).toContain(`AWSCURRENT is no longer on ${a}: somebody else moved it`);
    expect(await current(store)).toBe(c);
  },
);

promise('a pending label that an earlier rotation left is taken over, and told before', async () => {
  const { store, name, aws } = await withAAndB();
  expect((await store.check?.(callWith(0n), path))?.warnings).toEqual([
    expect.stringContaining(`AWSPENDING is on version ${b}`),
  ]);
  await store.stage(callWith(1n), path, c, text('c'));
  const described = await aws.describeSecret({ SecretId: name });
  expect(described.VersionIdsToStages?.[c]).toEqual(['AWSPENDING']);
  expect(described.VersionIdsToStages?.[b] ?? []).toEqual([]);
});

promise(
  'the first credential of an empty secret is pending first, though AWS would make it current',
  async () => {
    const { aws } = await withAAndB();
    const name = `${randomUUID()}/empty`;
    await aws.createSecret({ Name: name, Description: 'made by its owners', KmsKeyId: 'alias/team' });
    const kind = awsSecretsManagerStore();
    const store = kind.open(kind.spec.parse({}));
    await store.stage(callWith(1n), name, a, text('a'));
    expect(await store.read(callWith(0n), name, 'current')).toBeUndefined();
    expect(await store.list(callWith(0n), name)).toMatchObject([{ versionId: a, stages: ['pending'] }]);
    await store.promote(callWith(1n), name, a, undefined);
    expect(await store.list(callWith(0n), name)).toMatchObject([{ versionId: a, stages: ['current'] }]);
    expect(await store.read(callWith(0n), name, 'previous')).toBeUndefined();
  },
);

promise('what the owners of a secret set stays: key, tags, policy, description', async () => {
  const { store, aws } = await withAAndB();
  const name = `${randomUUID()}/owned`;
  const ResourcePolicy = JSON.stringify({ Version: '2012-10-17', Statement: [] });
  await aws.createSecret({
    Name: name,
    SecretString: '{"username":"u","password":"p"}',
    Description: 'of the shop team',
    KmsKeyId: 'alias/team',
    Tags: [{ Key: 'team', Value: 'shop' }],
  });
  await aws.putResourcePolicy({ SecretId: name, ResourcePolicy });
  const kind = awsSecretsManagerStore();
  const own = kind.open(kind.spec.parse({}));
  const found = await own.read(callWith(0n), name, 'current');
  await own.stage(callWith(1n), name, b, text('b'));
  await own.promote(callWith(1n), name, b, found?.versionId);
  expect(await aws.describeSecret({ SecretId: name })).toMatchObject({
    Description: 'of the shop team',
    KmsKeyId: 'alias/team',
    Tags: [{ Key: 'team', Value: 'shop' }],
  });
  expect((await aws.getResourcePolicy({ SecretId: name })).ResourcePolicy).toBe(ResourcePolicy);
  await store.close();
});

promise(
  'a version that another tool made under a name of its own has an id that the ledger can keep',
  async () => {
    const { aws } = await withAAndB();
    const name = `${randomUUID()}/terraform`;
    const token = 'terraform-20261121140000000000000001';
    await aws.createSecret({ Name: name, ClientRequestToken: token, SecretString: text('t').reveal() });
    const kind = awsSecretsManagerStore();
    const store = kind.open(kind.spec.parse({}));
    const found = await store.read(callWith(0n), name, 'current');
    expect(found?.versionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    const foreign = found?.versionId ?? '';
    expect((await store.read(callWith(0n), name, { versionId: foreign }))?.document.equals(text('t'))).toBe(
      true,
    );
    await store.stage(callWith(1n), name, b, text('b'));
    await store.promote(callWith(1n), name, b, foreign);
    await store.promote(callWith(1n), name, foreign, b);
    expect((await aws.getSecretValue({ SecretId: name, VersionStage: 'AWSCURRENT' })).VersionId).toBe(token);
  },
);

promise(
  'a secret that is about to be deleted, or belongs to a service, is refused with the way out',
  async () => {
    const { store, name, aws } = await withAAndB();
    front.alter('DescribeSecret', (body) => ({ ...body, OwningService: 'rds' }));
    expect(await thrownBy(store.check?.(callWith(0n), path) ?? Promise.resolve())).toMatchObject({
      code: 'store.conflict',
      message: expect.stringContaining('managed by rds'),
    });
    front.alter('DescribeSecret');
    await aws.deleteSecret({ SecretId: name });
    for (const refused of [
      store.check?.(callWith(0n), path) ?? Promise.resolve(),
      store.read(callWith(0n), path, 'current'),
      store.stage(callWith(1n), path, c, text('c')),
      store.promote(callWith(1n), path, b, a),
    ]) {
      expect(await thrownBy(refused)).toMatchObject({
        code: 'store.conflict',
        hint: expect.stringContaining('restore-secret'),
      });
    }
  },
);

promise('no secret is made unless the store says so', async () => {
  await withAAndB();
  const kind = awsSecretsManagerStore();
  const store = kind.open(kind.spec.parse({}));
  const name = `${randomUUID()}/nowhere`;
  for (const refused of [
    store.check?.(callWith(0n), name) ?? Promise.resolve(),
    store.stage(callWith(1n), name, a, text('a')),
  ])
    expect(await thrownBy(refused)).toMatchObject({
      code: 'store.not-found',
      hint: expect.stringContaining('create: true'),
    });
  expect(front.seen.some((each) => each.startsWith('CreateSecret 200'))).toBe(false);
});

promise('publishing ends when every replica has it, and says which one has not', async () => {
  const { store } = await withAAndB();
  let looks = 0;
  front.alter('DescribeSecret', (body) => {
    looks += 1;
    const Status = looks > 4 ? 'InSync' : 'InProgress';
    return { ...body, ReplicationStatus: [{ Region: 'eu-west-1', Status }] };
  });
  await store.promote(callWith(1n), path, b, a);
  expect(looks).toBeGreaterThan(4);
  front.alter('DescribeSecret', (body) => ({
    ...body,
    ReplicationStatus: [{ Region: 'eu-west-1', Status: 'Failed', StatusMessage: 'key disabled' }],
  }));
  // Published already, so a repeat moves nothing; what is missing is told again.
  const error = await thrownBy(store.promote(callWith(1n), path, b, a));
  expect(error).toMatchObject({ code: 'store.unavailable', kind: 'retryable' });
  expect(error?.message).toContain('not in sync in eu-west-1 (Failed)');
});

promise('a rotation of AWS that would work on the same secret is told before', async () => {
  const { store } = await withAAndB();
  front.alter('DescribeSecret', (body) => ({
    ...body,
    RotationEnabled: true,
    RotationLambdaARN: 'arn:aws:lambda:eu-central-1:123456789012:function:rotate',
  }));
  expect((await store.check?.(callWith(0n), path))?.warnings.join('\n')).toContain('cancel-rotate-secret');
});

promise('a parameter that others made is adopted as current before anything newer is written', async () => {
  const { aws } = await parameterWithAAndB();
  const name = `/${randomUUID()}/legacy`;
  await aws.putParameter({
    Name: name,
    Value: text('old').reveal(),
    Type: 'SecureString',
    KeyId: 'alias/team',
  });
  const kind = awsParameterStore();
  const store = kind.open(kind.spec.parse({}));
  const found = await store.read(callWith(0n), name, 'current');
  expect(found?.document.equals(text('old'))).toBe(true);
  expect((await store.check?.(callWith(0n), name))?.warnings.join()).toContain(`${name}:rotor-current`);
  await store.stage(callWith(1n), name, b, text('b'));
  expect((await store.read(callWith(0n), name, 'current'))?.versionId).toBe(found?.versionId);
  const labelled = await aws.getParameter({ Name: `${name}:rotor-current`, WithDecryption: true });
  expect(labelled.Parameter?.Value).toBe(text('old').reveal());
  await store.promote(callWith(1n), name, b, found?.versionId);
  expect((await aws.getParameterHistory({ Name: name })).Parameters?.map(({ KeyId }) => KeyId)).toEqual([
    'alias/team',
    'alias/team',
  ]);
});

promise('a parameter that keeps its values in the clear is refused', async () => {
  const { aws } = await parameterWithAAndB();
  const name = `/${randomUUID()}/plain`;
  await aws.putParameter({ Name: name, Value: 'x', Type: 'String' });
  const kind = awsParameterStore();
  const store = kind.open(kind.spec.parse({}));
  expect(await thrownBy(store.stage(callWith(1n), name, b, text('b')))).toMatchObject({
    code: 'store.conflict',
  });
});

test.skipIf(skipped !== '')(
  `a parameter takes more than 100 versions, and a foreign label that stops it is named${skipped}`,
  { timeout: 120_000 },
  async () => {
    const { store, name, aws } = await parameterWithAAndB();
    let last: string = a;
    const rotate = async (name: string) => {
      const next = randomUUID();
      await store.stage(callWith(1n), path, next, text(name));
      await store.promote(callWith(1n), path, next, last);
      last = next;
    };
    for (let n = 0; n < 14; n += 1) await rotate(`early ${n}`);
    // Of somebody else: they count towards the hundred, and push out what Rotor wrote.
    for (let n = 0; n < 84; n += 1)
      await aws.putParameter({ Name: name, Value: `${n}`, Type: 'SecureString', Overwrite: true });
    for (let n = 0; n < 8; n += 1) await rotate(`late ${n}`);
    expect((await store.read(callWith(0n), path, 'current'))?.document.equals(text('late 7'))).toBe(true);
    const history = (await aws.getParameterHistory({ Name: name })).Parameters ?? [];
    await aws.labelParameterVersion({
      Name: name,
      ParameterVersion: history[0]?.Version,
      Labels: ['golden'],
    });
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error).toMatchObject({ code: 'store.conflict', hint: expect.stringContaining('unlabel') });
    passed += 1;
  },
);

promise(
  'a worker that died while it promoted keeps others out for a while, and its own rotation goes on',
  async () => {
    const { store, name, aws } = await parameterWithAAndB();
    await aws.putParameter({ Name: `${name}.rotor-promoting`, Value: b, Type: 'String' });
    await store.stage(callWith(1n), path, c, text('c'));
    const error = await thrownBy(store.promote(callWith(1n), path, c, a));
    expect(error).toMatchObject({ code: 'store.conflict', kind: 'retryable' });
    await store.promote(callWith(1n), path, b, a);
    expect(await current(store)).toBe(b);
    await store.promote(callWith(1n), path, c, b);
    expect(await current(store)).toBe(c);
  },
);
