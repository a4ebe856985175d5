import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { awsSecretsManagerStore } from '../../stores/aws-secrets-manager/store.ts';
import { a, at, b, c, current, onAws, path, promise, text, thrownBy, withAAndB } from './stores-aws-home.ts';
import { callWith } from './stores-calls.ts';

onAws('awsSecretsManager');

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
    at.front.before = async (operation) => {
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
    at.front.alter('DescribeSecret', (body) => ({ ...body, OwningService: 'rds' }));
    expect(await thrownBy(store.check?.(callWith(0n), path) ?? Promise.resolve())).toMatchObject({
      code: 'store.conflict',
      message: expect.stringContaining('managed by rds'),
    });
    at.front.alter('DescribeSecret');
    await aws.deleteSecret({ SecretId: name });
    for (const refused of [
      async () => store.check?.(callWith(0n), path),
      () => store.read(callWith(0n), path, 'current'),
      () => store.stage(callWith(1n), path, c, text('c')),
      () => store.promote(callWith(1n), path, b, a),
    ]) {
      expect(await thrownBy(refused())).toMatchObject({
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
    async () => store.check?.(callWith(0n), name),
    () => store.stage(callWith(1n), name, a, text('a')),
  ])
    expect(await thrownBy(refused())).toMatchObject({
      code: 'store.not-found',
      hint: expect.stringContaining('create: true'),
    });
  expect(at.front.seen.some((each) => each.startsWith('CreateSecret 200'))).toBe(false);
});

promise('publishing ends when every replica has it, and says which one has not', async () => {
  const { store } = await withAAndB();
  let looks = 0;
  at.front.alter('DescribeSecret', (body) => {
    looks += 1;
    const Status = looks > 4 ? 'InSync' : 'InProgress';
    return { ...body, ReplicationStatus: [{ Region: 'eu-west-1', Status }] };
  });
  await store.promote(callWith(1n), path, b, a);
  expect(looks).toBeGreaterThan(4);
  at.front.alter('DescribeSecret', (body) => ({
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
  at.front.alter('DescribeSecret', (body) => ({
    ...body,
    RotationEnabled: true,
    RotationLambdaARN: 'arn:aws:lambda:eu-central-1:123456789012:function:rotate',
  }));
  expect((await store.check?.(callWith(0n), path))?.warnings.join('\n')).toContain('cancel-rotate-secret');
});
