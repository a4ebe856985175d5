import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { gcpSecretManagerStore } from '../../stores/gcp-secret-manager/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { failure } from '../doubles/google/secret-manager.ts';
import type { DoubleAnswer } from '../doubles/http-double.ts';
import { startSecretManager, type TestSecretManager } from '../setup/secret-manager.ts';
import { callWith } from './stores-calls.ts';

const path = 'shop/app';
const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()] as const;
const text = (name: string) => SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}` }));

let at: TestSecretManager;
beforeAll(async () => {
  at = await startSecretManager();
});
afterEach(() => {
  at.google.disturb = () => Promise.resolve(undefined);
  at.google.lacks.clear();
  at.google.instead.length = 0;
});
afterAll(() => at.stop());

interface Home {
  readonly store: StoreSession;
  /** Resource name of the secret that consumers read. */
  readonly name: string;
}

function opened(more: object = { create: true }): Home {
  const kind = gcpSecretManagerStore();
  const prefix = `k${randomUUID().slice(0, 8)}-`;
  const spec = kind.spec.parse({ project: 'shop-1', endpoint: at.google.url, prefix, ...more });
  const place = spec.location ? `/locations/${spec.location}` : '';
  return { store: kind.open(spec), name: `projects/shop-1${place}/secrets/${prefix}shop--app` };
}

async function withAAndB(more?: object): Promise<Home> {
  const home = opened(more);
  await home.store.stage(callWith(1n), path, a, text('a'));
  await home.store.promote(callWith(1n), path, a, undefined);
  await home.store.stage(callWith(1n), path, b, text('b'));
  return home;
}

function answering(point: RegExp, said: DoubleAnswer | 'cut' | 'cutAfter', times = 1): void {
  let left = times;
  at.google.disturb = (when, { method, path: asked }) => {
    if (when === 'before' && left > 0 && point.test(`${method} ${asked}`)) {
      left -= 1;
      at.google.instead.push(said);
    }
    return Promise.resolve(undefined);
  };
}

const current = async (store: StoreSession) => (await store.read(callWith(0n), path, 'current'))?.versionId;
const thrown = (work: Promise<unknown> | undefined) =>
  (work ?? Promise.resolve()).then(
    () => undefined,
    (error: unknown) => error,
  );
const publication = /^POST .*shop--app:addVersion$/;
const keeping = /^POST .*---rotor:addVersion$/;

test('who reads latest or the alias gets the old document until the new one is published, and again after going back', async () => {
  const { store, name } = await withAAndB({ create: true, alias: 'in-use' });
  for (const which of ['latest', 'in-use']) expect(at.google.read(name, which)).toBe(text('a').reveal());
  await store.promote(callWith(1n), path, b, a);
  for (const which of ['latest', 'in-use']) expect(at.google.read(name, which)).toBe(text('b').reveal());
  await store.promote(callWith(1n), path, a, b);
  for (const which of ['latest', 'in-use']) expect(at.google.read(name, which)).toBe(text('a').reveal());
});

test('a discarded version is destroyed, where it waited and where it was published', async () => {
  const { store, name } = await withAAndB();
  await store.promote(callWith(1n), path, b, a);
  await store.discard(callWith(1n), path, a);
  const states = (secret: string) => at.google.secrets.get(secret)?.versions.map(({ state }) => state);
  expect(states(name)).toEqual(['DESTROYED', 'ENABLED']);
  expect(states(`${name}---rotor`)).toEqual(['DESTROYED', 'ENABLED']);
});

test('a secret of others is taken over, keeps what its owners set, and can be gone back to', async () => {
  const { store, name } = opened({});
  const replication = {
    userManaged: {
      replicas: [{ location: 'europe-west3', customerManagedEncryption: { kmsKeyName: 'projects/p/key' } }],
    },
  };
  const owned = { replication, labels: { team: 'shop' }, versionAliases: {}, annotations: { note: 'ours' } };
  at.google.put(name, text('old').reveal(), owned);
  const found = await store.read(callWith(0n), path, 'current');
  expect(found?.document.equals(text('old'))).toBe(true);
  await store.stage(callWith(1n), path, b, text('b'));
  await store.promote(callWith(1n), path, b, found?.versionId);
  expect(at.google.secrets.get(name)?.fields).toEqual(owned);
  expect(at.google.secrets.get(`${name}---rotor`)?.fields).toMatchObject({
    replication,
    labels: { 'managed-by': 'rotor' },
  });
  await store.promote(callWith(1n), path, found?.versionId ?? '', b);
  expect(at.google.read(name)).toBe(text('old').reveal());
});

test('regional secrets are asked for in their region, and made without replication', async () => {
  const { store, name } = await withAAndB({ create: true, location: 'europe-west3' });
  expect(name).toContain('/locations/europe-west3/');
  await store.promote(callWith(1n), path, b, a);
  expect(at.google.read(name)).toBe(text('b').reveal());
});

test('what somebody adds by hand is not covered, and the next rotation starts from it', async () => {
  const { store, name } = await withAAndB();
  at.google.put(name, text('hand').reveal());
  expect(await thrown(store.promote(callWith(1n), path, b, a))).toMatchObject({ code: 'store.conflict' });
  expect(at.google.read(name)).toBe(text('hand').reveal());
  const now = await store.read(callWith(0n), path, 'current');
  expect(now?.document.equals(text('hand'))).toBe(true);
  await store.promote(callWith(1n), path, b, now?.versionId);
  expect(at.google.read(name)).toBe(text('b').reveal());
});

test('what somebody adds between the decision and the publication is not covered either', async () => {
  const { store, name } = await withAAndB();
  let done = false;
  at.google.disturb = async (when, { method, path: asked }) => {
    if (!done && when === 'after' && method === 'PATCH' && asked.endsWith('---rotor')) {
      done = true;
      at.google.put(name, text('hand').reveal());
    }
    return undefined;
  };
  expect(await thrown(store.promote(callWith(1n), path, b, a))).toMatchObject({ code: 'store.conflict' });
  expect(at.google.read(name)).toBe(text('hand').reveal());
});

test.each(['cut', 'cutAfter'] as const)(
  'a request whose answer is lost (%s) is read back, and made once',
  async (how) => {
    const { store, name } = await withAAndB();
    answering(keeping, how);
    await store.stage(callWith(1n), path, c, text('c'));
    expect(at.google.secrets.get(`${name}---rotor`)?.versions).toHaveLength(3);
    answering(publication, how);
    await store.promote(callWith(1n), path, c, a);
    expect(await current(store)).toBe(c);
    expect(at.google.secrets.get(name)?.versions).toHaveLength(2);
    answering(/^PATCH/, how);
    await store.promote(callWith(1n), path, a, c);
    expect(await current(store)).toBe(a);
  },
);

test('a quota is waited for, and an error of Google’s own is probed', async () => {
  const { store } = await withAAndB();
  answering(keeping, failure(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded'), 2);
  await store.stage(callWith(1n), path, c, text('c'));
  answering(publication, failure(503, 'UNAVAILABLE', 'later'));
  await store.promote(callWith(1n), path, c, a);
  expect(await current(store)).toBe(c);
});

test.each(['secretmanager.versions.add', 'secretmanager.versions.access', 'secretmanager.secrets.update'])(
  'plan and the step itself name %s when it is missing',
  async (permission) => {
    const { store, name } = await withAAndB();
    at.google.lacks.add(permission);
    const refusal = {
      code: 'store.permission-denied',
      kind: 'terminal',
      message: expect.stringContaining(`the workers lack ${permission}`),
    };
    expect(await thrown(store.check?.(callWith(0n), path))).toMatchObject(refusal);
    expect(await thrown(store.stage(callWith(1n), path, c, text('c')))).toMatchObject(refusal);
    at.google.lacks.clear();
    expect(at.google.read(name)).toBe(text('a').reveal());
  },
);

test('a secret that is not there is refused unless it may be made, and a newest version that is disabled is told', async () => {
  const { store } = opened({});
  for (const work of [
    async () => store.check?.(callWith(0n), path),
    () => store.stage(callWith(1n), path, a, text('a')),
  ])
    expect(await thrown(work())).toMatchObject({ code: 'store.not-found' });
  const disabled = await withAAndB();
  const version = at.google.secrets.get(disabled.name)?.versions.at(-1);
  if (version) version.state = 'DISABLED';
  const report = await disabled.store.check?.(callWith(0n), path);
  expect(report?.warnings.join()).toContain('deleted or disabled by hand');
});

test('a payload that arrives damaged is never believed', async () => {
  const { store } = await withAAndB();
  const damaged = { name: 'x', payload: { data: Buffer.from('{}').toString('base64'), dataCrc32c: '1' } };
  answering(/:access$/, { status: 200, body: damaged });
  const found = await store.read(callWith(0n), path, 'pending');
  expect(found?.document.equals(text('b'))).toBe(true);
});

test('no error shows what was stored', async () => {
  const { store } = await withAAndB();
  answering(keeping, failure(400, 'INVALID_ARGUMENT', "value 'marker-7f3a' is no good"));
  const error = (await thrown(store.stage(callWith(1n), path, c, SecretValue.of('marker-7f3a')))) as Error;
  expect(error).toMatchObject({ code: 'store.unavailable', kind: 'terminal' });
  expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('marker');
});
