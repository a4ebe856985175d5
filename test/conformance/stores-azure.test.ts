import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { SecretValue } from '../../core/secret.ts';
import { azureKeyVaultStore, connectionOptions } from '../../stores/azure-key-vault/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { failure } from '../doubles/azure/key-vault.ts';
import type { DoubleAnswer } from '../doubles/http-double.ts';
import { startKeyVault, type TestKeyVault } from '../setup/key-vault.ts';
import { callWith } from './stores-calls.ts';

const path = 'shop/app';
const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()] as const;
const text = (name: string) => SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}` }));

let at: TestKeyVault;
beforeAll(async () => {
  at = await startKeyVault();
});
afterEach(() => {
  at.vault.disturb = () => Promise.resolve(undefined);
  at.vault.lacks.clear();
  at.vault.model = 'rbac';
  at.vault.resource = 'https://vault.azure.net';
  at.vault.instead.length = 0;
});
afterAll(() => at.stop());

function opened(more: object = { create: true }): { store: StoreSession; name: string } {
  const kind = azureKeyVaultStore();
  const prefix = `k${randomUUID().slice(0, 8)}-`;
  const store = kind.open(kind.spec.parse({ vaultUrl: at.vault.url, prefix, ...more }));
  return { store, name: `${prefix}shop--app` };
}

async function withAAndB(): Promise<{ store: StoreSession; name: string }> {
  const home = opened();
  await home.store.stage(callWith(1n), path, a, text('a'));
  await home.store.promote(callWith(1n), path, a, undefined);
  await home.store.stage(callWith(1n), path, b, text('b'));
  at.vault.asked.length = 0;
  return home;
}

/** Answers the first `times` requests that match (and carry a token) with something else. */
function answering(point: RegExp, said: DoubleAnswer | 'cut' | 'cutAfter', times = 1): void {
  let left = times;
  at.vault.disturb = (when, { method, path: asked, headers }) => {
    if (when === 'before' && left > 0 && headers.authorization && point.test(`${method} ${asked}`)) {
      left -= 1;
      at.vault.instead.push(said);
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

test('who reads the latest version gets the old document until the new one is published, and again after going back', async () => {
  const { store, name } = await withAAndB();
  expect(at.vault.latest(name)?.value).toBe(text('a').reveal());
  await store.promote(callWith(1n), path, b, a);
  expect(at.vault.latest(name)).toMatchObject({
    value: text('b').reveal(),
    enabled: true,
    tags: { 'rotor-version': b, 'rotor-previous': a },
  });
  await store.promote(callWith(1n), path, a, b);
  expect(at.vault.latest(name)?.value).toBe(text('a').reveal());
});

test('a discarded version is disabled in the history and its document is deleted', async () => {
  const { store, name } = await withAAndB();
  await store.promote(callWith(1n), path, b, a);
  await store.discard(callWith(1n), path, a);
  const states = at.vault.secrets.get(name)?.versions.map(({ enabled }) => enabled);
  expect(states).toEqual([false, true]);
  expect(at.vault.secrets.get(`${name}---rotor-${a}`)?.deleted).toBeDefined();
  expect(await store.read(callWith(0n), path, { versionId: a })).toBeUndefined();
});

test('a secret of others is taken over with its tags, content type and lifetime, and can be gone back to', async () => {
  const { store, name } = opened({});
  const made = Math.floor(Date.now() / 1_000);
  at.vault.put(name, text('old').reveal(), {
    tags: { team: 'shop' },
    contentType: 'application/json',
    exp: made + 3_600,
  });
  expect((await store.check?.(callWith(0n), path))?.warnings).toEqual([
    expect.stringContaining('not made by Rotor'),
  ]);
  const found = await store.read(callWith(0n), path, 'current');
  expect(found?.document.equals(text('old'))).toBe(true);
  await store.stage(callWith(1n), path, b, text('b'));
  await store.promote(callWith(1n), path, b, found?.versionId);
  const latest = at.vault.latest(name);
  expect(latest).toMatchObject({
    contentType: 'application/json',
    tags: { team: 'shop', 'rotor-version': b },
  });
  expect(Math.abs((latest?.exp ?? 0) - made - 3_600)).toBeLessThan(60);
  await store.promote(callWith(1n), path, found?.versionId ?? '', b);
  expect(at.vault.latest(name)?.value).toBe(text('old').reveal());
});

test('what somebody sets by hand is not overwritten, even with tags copied from Rotor', async () => {
  const { store, name } = await withAAndB();
  at.vault.put(name, text('hand').reveal(), { tags: { ...at.vault.latest(name)?.tags } });
  expect(await thrown(store.promote(callWith(1n), path, b, a))).toMatchObject({ code: 'store.conflict' });
  expect(at.vault.latest(name)?.value).toBe(text('hand').reveal());
  expect(await current(store)).not.toBe(a);
});

test('what somebody sets while a version is about to be published is not overwritten either', async () => {
  const { store, name } = await withAAndB();
  let done = false;
  at.vault.disturb = async (when, { method, path: asked }) => {
    if (!done && when === 'after' && method === 'PUT' && asked.includes('---rotor-turn-')) {
      done = true;
      at.vault.put(name, text('hand').reveal());
    }
    return undefined;
  };
  expect(await thrown(store.promote(callWith(1n), path, b, a))).toMatchObject({ code: 'store.conflict' });
  expect(at.vault.latest(name)?.value).toBe(text('hand').reveal());
});

test('a newest version that is disabled is named, and nothing is put over it', async () => {
  const { store, name } = await withAAndB();
  const latest = at.vault.latest(name);
  if (latest) latest.enabled = false;
  for (const work of [
    async () => store.check?.(callWith(0n), path),
    () => store.promote(callWith(1n), path, b, a),
  ])
    expect(await thrown(work())).toMatchObject({
      code: 'store.conflict',
      message: expect.stringContaining(`secret ${name}: its newest version is disabled`),
    });
});

test('a secret that is not there is refused unless it may be made, and one that was deleted is named', async () => {
  const { store } = opened({});
  for (const work of [
    async () => store.check?.(callWith(0n), path),
    () => store.stage(callWith(1n), path, a, text('a')),
  ])
    expect(await thrown(work())).toMatchObject({ code: 'store.not-found' });
  const deleted = await withAAndB();
  const secret = at.vault.secrets.get(deleted.name);
  if (secret) secret.deleted = 1;
  expect(await thrown(deleted.store.promote(callWith(1n), path, b, undefined))).toMatchObject({
    code: 'store.conflict',
    hint: expect.stringContaining('az keyvault secret recover'),
  });
});

const publication = /^PUT \/secrets\/k[0-9a-f]+-shop--app$/;

test.each(['cut', 'cutAfter'] as const)(
  'a publication whose answer is lost (%s) is read back, and made once',
  async (how) => {
    const { store, name } = await withAAndB();
    answering(publication, how);
    await store.promote(callWith(1n), path, b, a);
    expect(await current(store)).toBe(b);
    expect(at.vault.secrets.get(name)?.versions).toHaveLength(2);
  },
);

test('throttling is waited for as long as Key Vault says, and an error of its own is probed', async () => {
  const { store } = await withAAndB();
  answering(/^PUT .*---rotor-turn-/, {
    ...failure(429, 'Throttled', 'too many'),
    headers: { 'retry-after': '1' },
  });
  const slept: number[] = [];
  const sleep = async (ms: number) => void slept.push(ms);
  const call = { ...callWith(1n), clock: { ...systemClock, sleep } };
  await store.promote(call, path, b, a);
  expect(slept).toEqual([1_000]);
  answering(publication, failure(500, 'InternalServerError', 'no'));
  await store.promote(callWith(1n), path, a, b);
  expect(await current(store)).toBe(a);
});

test.each([
  ['rbac', 'set', 'Microsoft.KeyVault/vaults/secrets/setSecret/action', 'Key Vault Secrets Officer'],
  ['rbac', 'get', 'Microsoft.KeyVault/vaults/secrets/getSecret/action', 'Key Vault Secrets Officer'],
  ['access-policy', 'set', "the permission secrets/set in the vault's access policy", 'Add secrets/set'],
] as const)('a permission that is missing is named (%s, %s)', async (model, permission, missing, hint) => {
  const { store } = await withAAndB();
  at.vault.model = model;
  at.vault.lacks.add(permission);
  expect(await thrown(store.stage(callWith(1n), path, c, text('c')))).toMatchObject({
    code: 'store.permission-denied',
    kind: 'terminal',
    message: expect.stringContaining(`the workers lack ${missing}`),
    hint: expect.stringContaining(hint),
  });
  at.vault.lacks.clear();
  expect(await current(store)).toBe(a);
});

test("the vault's firewall, and an error that quotes a secret", async () => {
  const { store } = await withAAndB();
  answering(/^GET/, failure(403, 'Forbidden', 'Client address is not authorized', 'ForbiddenByFirewall'));
  expect(await thrown(store.read(callWith(0n), path, 'current'))).toMatchObject({
    code: 'store.permission-denied',
    message: expect.stringContaining('firewall'),
  });
  answering(/^PUT .*---rotor-[0-9a-f]/, failure(400, 'BadParameter', 'marker-7f3a is no value'));
  const error = (await thrown(store.stage(callWith(1n), path, c, SecretValue.of('marker-7f3a')))) as Error;
  expect(error).toMatchObject({ code: 'store.unavailable', kind: 'terminal' });
  expect(`${error.message} ${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('marker');
});

test('whether a vault may ask for a token is checked anywhere but on this machine', () => {
  const { disableChallengeResourceVerification } = connectionOptions('https://shop.vault.azure.net');
  expect(disableChallengeResourceVerification).toBe(false);
  expect(connectionOptions(at.vault.url).disableChallengeResourceVerification).toBe(true);
});

test('tags that leave no room for those of Rotor are told before anything is changed', async () => {
  const { store, name } = opened({});
  at.vault.put(name, '{}', {
    tags: Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`t${n}`, 'x'])),
  });
  expect(await thrown(store.check?.(callWith(0n), path))).toMatchObject({ code: 'store.conflict' });
});

test('documents of old versions go as new ones come', async () => {
  const { store, name } = await withAAndB();
  let last: string = a;
  for (let n = 0; n < 8; n += 1) {
    const next = randomUUID();
    await store.stage(callWith(1n), path, next, text(`${n}`));
    await store.promote(callWith(1n), path, next, last);
    last = next;
  }
  const kept = [...at.vault.secrets].filter(
    ([each, { deleted }]) =>
      new RegExp(`^${name}---rotor-[0-9a-f-]{36}$`).test(each) && deleted === undefined,
  );
  expect(kept.length).toBeLessThanOrEqual(7);
  expect(
    at.vault.secrets
      .get(name)
      ?.versions.slice(0, 2)
      .some(({ enabled }) => enabled),
  ).toBe(false);
  expect((await store.read(callWith(0n), path, 'current'))?.versionId).toBe(last);
});
