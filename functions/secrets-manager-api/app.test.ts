import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DescribeSecretCommand,
  GetRandomPasswordCommand,
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { Deadline } from '../../core/retry.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Lent, Loan, SecretDesk } from '../../rotators/function/secret-desk.ts';
import { LocalSession } from '../../stores/local/session.ts';
import type { StoreSession } from '../../stores/store.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Desks, secretDesks } from '../desks.ts';

// Asked by AWS's own SDK; boto3 is in test/functions.
const [OLD, NEW, THIRD] = [0, 1, 2].map((n) => `c0ffee00-0000-4000-8000-00000000000${n}`) as [
  string,
  string,
  string,
];
const PATH = 'shop/app';

let store: StoreSession;
let desks: Desks;
let desk: SecretDesk;
let lent: Lent;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-api-'));
  store = new LocalSession({ path: join(folder, 'store'), keepVersions: 10 }, Keyring.generate());
  await store.stage(aCall(), PATH, OLD, SecretValue.of('{"password":"old"}'));
  await store.promote(aCall(), PATH, OLD, undefined);
  desks = secretDesks({ listen: { host: '127.0.0.1', port: 0 }, log: silentLog });
  desk = desks.at(store, PATH);
});
afterEach(async () => {
  await desks.close();
  await store.close();
});

async function opened(loan: Partial<Loan> = {}, call = aCall()): Promise<SecretsManagerClient> {
  lent = await desk.lend(call, { step: 'createSecret', token: NEW, doing: 'create', ...loan });
  return client();
}

function client(
  changes: Partial<{ secretAccessKey: string; sessionToken: string }> = {},
): SecretsManagerClient {
  const { key, sessionToken, endpoint, region } = lent;
  return new SecretsManagerClient({
    endpoint,
    region,
    maxAttempts: 1,
    credentials: {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secretAccessKey.reveal(),
      ...(sessionToken ? { sessionToken: sessionToken.reveal() } : {}),
      ...changes,
    },
  });
}

const put = (changes: object = {}) =>
  new PutSecretValueCommand({
    SecretId: lent.secretId,
    ClientRequestToken: NEW,
    SecretString: '{"password":"new"}',
    VersionStages: ['AWSPENDING'],
    ...changes,
  });
const move = (changes: object = {}) =>
  new UpdateSecretVersionStageCommand({
    SecretId: lent.secretId,
    VersionStage: 'AWSCURRENT',
    MoveToVersionId: NEW,
    RemoveFromVersionId: OLD,
    ...changes,
  });
const get = (changes: object = {}) => new GetSecretValueCommand({ SecretId: lent.secretId, ...changes });

test('createSecret: the version is AWSPENDING from the start and empty until it is put, once', async () => {
  const api = await opened();
  const described = await api.send(new DescribeSecretCommand({ SecretId: lent.secretId }));
  expect(described).toMatchObject({
    ARN: lent.secretId,
    Name: PATH,
    RotationEnabled: true,
    VersionIdsToStages: { [OLD]: ['AWSCURRENT'], [NEW]: ['AWSPENDING'] },
  });
  const pending = get({ VersionId: NEW, VersionStage: 'AWSPENDING' });
  await expect(api.send(pending)).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
    $metadata: { httpStatusCode: 400 },
  });
  for (let times = 0; times < 2; times += 1)
    expect(await api.send(put())).toMatchObject({ VersionId: NEW, VersionStages: ['AWSPENDING'] });
  expect(await api.send(pending)).toMatchObject({ SecretString: '{"password":"new"}', VersionId: NEW });
  expect((await store.read(aCall(), PATH, 'pending'))?.versionId).toBe(NEW);
  expect(lent.put?.reveal()).toBe('{"password":"new"}');
  await expect(api.send(put({ SecretString: '{}' }))).rejects.toMatchObject({
    name: 'ResourceExistsException',
  });
  const { Versions } = await api.send(new ListSecretVersionIdsCommand({ SecretId: lent.secretId }));
  expect(Versions?.map(({ VersionId }) => VersionId).sort()).toEqual([OLD, NEW]);
});

test('finishSecret moves AWSCURRENT from the version that has it, and repeats are done already', async () => {
  await store.stage(aCall(), PATH, NEW, SecretValue.of('{"password":"new"}'));
  const api = await opened({ step: 'finishSecret', doing: 'finish', expected: OLD });
  await expect(api.send(move({ RemoveFromVersionId: THIRD }))).rejects.toMatchObject({
    name: 'InvalidParameterException',
    message: expect.stringContaining(`attached to version ${OLD}`),
  });
  for (let times = 0; times < 2; times += 1) await api.send(move());
  await api.send(move({ VersionStage: 'AWSPENDING', MoveToVersionId: undefined, RemoveFromVersionId: NEW }));
  expect((await store.read(aCall(), PATH, 'current'))?.versionId).toBe(NEW);
  expect(await api.send(get({ VersionStage: 'AWSPREVIOUS' }))).toMatchObject({ VersionId: OLD });
});

test('a label that somebody else has moved since the rotation began is not moved on', async () => {
  const call = aCall();
  await store.stage(call, PATH, NEW, SecretValue.of('{"password":"new"}'));
  await store.stage(call, PATH, THIRD, SecretValue.of('{"password":"theirs"}'));
  await store.promote(call, PATH, THIRD, OLD);
  const api = await opened({ step: 'finishSecret', doing: 'finish', expected: OLD });
  await expect(api.send(move({ RemoveFromVersionId: THIRD }))).rejects.toMatchObject({
    name: 'InvalidRequestException',
  });
  expect(lent.problem).toMatchObject({ code: 'store.conflict' });
  expect((await store.read(aCall(), PATH, 'current'))?.versionId).toBe(THIRD);
});

test('a step that tries versions sees those that it is about, and the store learns nothing', async () => {
  const shown = {
    current: { versionId: OLD, document: SecretValue.of('{"password":"shown"}') },
    pending: { versionId: NEW, document: SecretValue.of('{"password":"tried"}') },
  };
  const api = await opened({ step: 'testSecret', doing: 'read', shown });
  expect(await api.send(get())).toMatchObject({ SecretString: '{"password":"shown"}', VersionId: OLD });
  expect(await api.send(get({ VersionStage: 'AWSPENDING', VersionId: NEW }))).toMatchObject({
    SecretString: '{"password":"tried"}',
  });
  const rehearsal = await opened({ shown: { current: shown.current }, rehearsed: true, token: THIRD });
  await rehearsal.send(put({ ClientRequestToken: THIRD }));
  expect(lent.put?.reveal()).toBe('{"password":"new"}');
  expect((await store.list(aCall(), PATH)).map(({ versionId }) => versionId)).toEqual([OLD]);
});

test.each([
  ['PutSecretValue in testSecret', { step: 'testSecret', doing: 'read' } as const, put],
  ['PutSecretValue in finishSecret', { step: 'finishSecret', doing: 'finish' } as const, put],
  ['UpdateSecretVersionStage in createSecret', {}, move],
])('%s is denied, and the message names the permission', async (name, loan, command) => {
  const api = await opened(loan);
  const operation = name.split(' ')[0];
  await expect(api.send(command() as ReturnType<typeof put>)).rejects.toMatchObject({
    name: 'AccessDeniedException',
    message: expect.stringContaining(`secretsmanager:${operation}`),
  });
  expect(lent.problem).toMatchObject({
    code: 'provider.permission-denied',
    message: expect.stringContaining(`secretsmanager:${operation}`),
  });
  expect((await store.list(aCall(), PATH)).length).toBe(1);
});

test.each([
  ['current at once', () => put({ VersionStages: undefined })],
  ['under another id', () => put({ ClientRequestToken: THIRD })],
  ['as bytes', () => put({ SecretString: undefined, SecretBinary: Buffer.from('x') })],
])('a value is not put %s', async (_how, command) => {
  const api = await opened();
  await expect(api.send(command())).rejects.toMatchObject({ name: 'InvalidParameterException' });
  expect((await store.list(aCall(), PATH)).length).toBe(1);
});

test('another secret is not there, but the one that was lent with it', async () => {
  const api = await opened();
  await expect(api.send(get({ SecretId: 'arn:admin' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
  const other = { secretId: 'arn:admin', document: SecretValue.of('{"password":"admin"}') };
  const more = await opened({ other });
  expect(await more.send(get({ SecretId: 'arn:admin' }))).toMatchObject({
    SecretString: '{"password":"admin"}',
  });
  await expect(more.send(get({ SecretId: 'arn:admin', VersionStage: 'AWSPREVIOUS' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
});

test('a key is worth nothing with another secret part, another session, or after its step', async () => {
  const api = await opened();
  const describe = () => new DescribeSecretCommand({ SecretId: lent.secretId });
  const refused = { name: 'UnrecognizedClientException', $metadata: { httpStatusCode: 400 } };
  await expect(client({ secretAccessKey: 'another-secret' }).send(describe())).rejects.toMatchObject(refused);
  await expect(client({ sessionToken: 'another-token' }).send(describe())).rejects.toMatchObject(refused);
  await api.send(describe());
  const kept = client();
  lent.end();
  await expect(kept.send(describe())).rejects.toMatchObject(refused);
  const late = await opened({}, aCall({ deadline: Deadline.after(0) }));
  await expect(late.send(describe())).rejects.toMatchObject(refused);
});

test('a key that a function elsewhere has opens the secrets of the steps that run, by their own names only', async () => {
  const key = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: SecretValue.of('a-key-of-its-own') };
  await opened({ key });
  const first = lent;
  const api = await opened({ key, step: 'testSecret', doing: 'read' });
  expect(first.secretId).not.toBe(lent.secretId);
  await api.send(put({ SecretId: first.secretId }));
  await expect(api.send(put())).rejects.toMatchObject({ name: 'AccessDeniedException' });
  await expect(api.send(get({ SecretId: PATH }))).rejects.toMatchObject({
    name: 'UnrecognizedClientException',
  });
});

test.each([
  ['store.throttled', 'ThrottlingException', 400],
  ['store.permission-denied', 'AccessDeniedException', 400],
  ['store.unavailable', 'InternalServiceError', 500],
  ['store.too-large', 'InvalidParameterException', 400],
] as const)('%s of the store is %s to the function', async (code, name, httpStatusCode) => {
  store.stage = () => Promise.reject(new RotorError(code, { what: 'the store says no' }));
  const api = await opened();
  await expect(api.send(put())).rejects.toMatchObject({ name, $metadata: { httpStatusCode } });
  expect(lent.problem).toMatchObject({ code, message: 'the store says no' });
});

test.each([
  [{}, /^[\x21-\x7e]{32}$/],
  [{ PasswordLength: 8, ExcludePunctuation: true, ExcludeUppercase: true }, /^[a-z0-9]{8}$/],
  [{ ExcludeCharacters: ':/@"\'\\', ExcludeNumbers: true }, /^[^:/@"'\\0-9]{32}$/],
])('GetRandomPassword with %j', async (asked, form) => {
  const api = await opened();
  expect((await api.send(new GetRandomPasswordCommand(asked))).RandomPassword).toMatch(form);
});

test('what cannot be is refused in words of AWS', async () => {
  const api = await opened();
  const nothing = {
    ExcludeNumbers: true,
    ExcludePunctuation: true,
    ExcludeUppercase: true,
    ExcludeLowercase: true,
  };
  await expect(api.send(new GetRandomPasswordCommand(nothing))).rejects.toMatchObject({
    name: 'InvalidParameterException',
  });
  const answer = await fetch(lent.endpoint, { method: 'POST', body: '{}' });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ __type: 'UnrecognizedClientException' });
});
