import { KMS } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { confidantStore } from '../../stores/confidant/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { ConfidantDouble } from '../doubles/confidant.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { callWith } from './stores-calls.ts';
import { secretFile, stagedHere, stopShelf } from './stores-stageless-home.ts';

const PATH = 'shop/app';
const A = '0a0a0a0a-0000-4000-8000-00000000000a';
const text = (value: object) => SecretValue.of(JSON.stringify(value));
const call = (fence = 1n) => callWith(fence);
const code = (wanted: string) => expect.objectContaining({ code: wanted });

let confidant: ConfidantDouble;
beforeEach(async () => {
  confidant = await new ConfidantDouble('kms-token').listen();
});
afterEach(() => confidant.stop());
afterAll(stopShelf);

async function opened(changes: object = {}, token = confidant.token): Promise<StoreSession> {
  const auth = { token: { username: confidant.username, from: { file: await secretFile(token) } } };
  const store = await stagedHere(confidantStore);
  return store.open(store.spec.parse({ url: confidant.url, auth, ...changes }));
}

async function published(store: StoreSession, document: SecretValue, path = PATH): Promise<void> {
  const before = await store.read(call(), path, 'current');
  await store.stage(call(), path, A, document);
  await store.promote(call(), path, A, before?.versionId);
}

test.each([
  [
    'a flat document, field by field, types kept',
    {},
    text({ user: 'app', Port: 5432, ssl: true }),
    { user: 'app', port: 5432, ssl: true },
  ],
  [
    'one under a key of its own',
    { pair: 'orders_db' },
    text({ user: 'app' }),
    { orders_db: '{"user":"app"}' },
  ],
  ['one with depth', {}, text({ a: { b: 1 } }), { document: '{"a":{"b":1}}' }],
  ['one whose names are the same in small letters', {}, text({ a: 1, A: 2 }), { document: '{"a":1,"A":2}' }],
  ['text', {}, SecretValue.of('p w'), { document: 'p w' }],
])('services get %s', async (_, changes, document, pairs) => {
  const kept = confidant.put(PATH, { user: 'old', port: 1 });
  const store = await opened(changes);
  await published(store, document);
  expect(kept).toMatchObject({
    credential_pairs: pairs,
    revision: 2,
    documentation: 'made by hand',
    enabled: true,
  });
  expect((await store.read(call(0n), PATH, 'current'))?.versionId).toBe(A);
  const previous = await store.read(call(0n), PATH, 'previous');
  expect(previous?.document.equals(text({ user: 'old', port: 1 }))).toBe(true);
});

test('what stands there already comes back as it was when a rotation turns back', async () => {
  const kept = confidant.put(PATH, { user: 'old', port: 1 });
  const store = await opened();
  const before = (await store.read(call(0n), PATH, 'current'))?.versionId ?? '';
  await published(store, text({ user: 'new', port: 1 }));
  await store.promote(call(), PATH, before, A);
  expect(kept.credential_pairs).toEqual({ user: 'old', port: 1 });
});

test('changes of documentation or mapping are not those of somebody who changes the secret', async () => {
  const kept = confidant.put(PATH, { user: 'old' });
  const store = await opened();
  await published(store, text({ user: 'new' }));
  confidant.put(PATH, kept.credential_pairs);
  expect(kept.revision).toBe(3);
  expect((await store.read(call(0n), PATH, 'current'))?.versionId).toBe(A);
});

test('a name is found on the last page; one that two have is refused; an id needs no list', async () => {
  confidant.pageSize = 2;
  for (const name of ['a', 'b', 'c', 'd', PATH]) confidant.put(name, { of: name });
  const store = await opened();
  expect((await store.read(call(0n), PATH, 'current'))?.document.equals(text({ of: PATH }))).toBe(true);
  const { id } = confidant.find(PATH) ?? {};
  confidant.acl.delete('list');
  const byId = await opened();
  expect((await byId.read(call(0n), id ?? '', 'current'))?.document.equals(text({ of: PATH }))).toBe(true);
  await expect(byId.read(call(0n), PATH, 'current')).rejects.toThrow(/GET list of the list.*"list"/);
  confidant.acl.add('list');
  const twin = confidant.credentials[0];
  if (twin) twin.name = PATH;
  await expect((await opened()).read(call(0n), PATH, 'current')).rejects.toThrow('has 2 credentials called');
});

test('a credential is made only when the Store says so, once, enabled, with documentation', async () => {
  confidant.enforcesDocumentation = true;
  await expect((await opened()).check?.(call(), PATH)).rejects.toThrow('no credential "shop/app"');
  const store = await opened({ create: true });
  await store.check?.(call(), PATH);
  await store.stage(call(), PATH, A, text({ user: 'new' }));
  confidant.disturb = async (when, { method }) => (when === 'after' && method === 'POST' ? 'cut' : undefined);
  await expect(store.promote(call(), PATH, A, undefined)).rejects.toEqual(code('provider.connection-lost'));
  await store.promote(call(), PATH, A, undefined);
  expect(confidant.credentials).toHaveLength(1);
  expect(confidant.find(PATH)).toMatchObject({
    enabled: true,
    documentation: expect.stringContaining('Rotor'),
  });
});

test('what is missing is named before anything is changed', async () => {
  const kept = confidant.put(PATH, { user: 'old' });
  const store = await opened();
  kept.enabled = false;
  expect(await store.check?.(call(), PATH)).toEqual({ warnings: [expect.stringContaining('is disabled')] });
  confidant.acl.delete('update');
  await expect(store.check?.(call(), PATH)).rejects.toThrow(
    'doesn\'t grant "update" on the credential "shop/app"',
  );
  confidant.acl.delete('get');
  await expect(store.read(call(0n), PATH, 'current')).rejects.toThrow('doesn\'t grant "get"');
  const stranger = await opened({}, 'ended');
  await expect(stranger.check?.(call(), PATH)).rejects.toEqual(code('store.permission-denied'));
});

test.each([
  ['maintenance', 'store.unavailable', 'retryable'],
  ['a key that another credential of the service has', 'store.unsupported', 'terminal'],
  ['throttled', 'store.throttled', 'retryable'],
  ['broken', 'store.unavailable', 'ambiguous'],
] as const)('%s is %s, %s', async (what, wanted, kind) => {
  confidant.put(PATH, { user: 'old' });
  const store = await opened();
  const before = (await store.read(call(0n), PATH, 'current'))?.versionId;
  await store.stage(call(), PATH, A, text({ user: 'new' }));
  if (what === 'maintenance') confidant.maintenance = true;
  else if (what.startsWith('a key')) confidant.taken.add('user');
  else {
    const said = { status: what === 'throttled' ? 429 : 500, body: { error: 'pw-secret' } };
    confidant.disturb = async (when, { method }) => {
      if (when === 'before' && method === 'PUT') confidant.instead.push(said);
      return undefined;
    };
  }
  const error = await store.promote(call(), PATH, A, before).catch((thrown) => thrown);
  expect(error).toEqual(expect.objectContaining({ code: wanted, kind }));
  expect(JSON.stringify(error)).not.toContain('pw-secret');
  expect(confidant.find(PATH)?.credential_pairs).toEqual({ user: 'old' });
});

test.skipIf(moto.skipped !== '')(
  `a token that KMS makes says who it is from and to, and how long it lasts${moto.skipped}`,
  { timeout: 60_000 },
  async () => {
    const aws = await startMoto();
    onTestFinished(() => aws.stop());
    for (const [name, value] of Object.entries(awsEnvironment(aws.url))) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const kms = new KMS({});
    const { KeyMetadata } = await kms.createKey({});
    const keyId = KeyMetadata?.Arn ?? '';
    confidant.put(PATH, { user: 'old' });
    const sent: string[] = [];
    confidant.disturb = async (when, { headers }) => {
      const token = String(headers['x-auth-token']);
      if (when !== 'before') return undefined;
      sent.push(token);
      const context = { from: 'rotor-test', to: 'confidant-test', user_type: 'service' };
      const opened = await kms.decrypt({
        CiphertextBlob: Buffer.from(token, 'base64'),
        EncryptionContext: context,
      });
      const { not_before, not_after } = JSON.parse(Buffer.from(opened.Plaintext ?? []).toString());
      const [from, to] = [not_before, not_after].map((text: string) =>
        Date.parse(text.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z')),
      ) as [number, number];
      const good = to - from === 20 * 60_000 && from < Date.now() && Date.now() < to;
      if (good) confidant.tokens.set(token, '2/service/rotor-test');
      return undefined;
    };
    const auth = { kms: { from: 'rotor-test', to: 'confidant-test', keyId, lifetimeMinutes: 20 } };
    const store = await opened({ auth });
    await published(store, text({ user: 'new' }));
    expect(confidant.find(PATH)?.credential_pairs).toEqual({ user: 'new' });
    expect(new Set(sent).size).toBe(1);
    const wrong = await opened({ auth: { kms: { ...auth.kms, keyId: `${keyId}x` } } });
    const error = await wrong.read(call(0n), PATH, 'current').catch((thrown) => thrown);
    expect(error.message).toContain('kms:Encrypt');
  },
);
