import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { activateLastKey, addKey, createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { Keyring, newKey } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { registerKeyCommands } from '../../orchestrator/cli/key-commands.ts';
import { conjurStore } from '../../stores/conjur/store.ts';
import type { StagelessStore } from '../../stores/stageless.ts';
import type { StoreSession } from '../../stores/store.ts';
import { rewrapStageless } from '../../workers/stageless/rewrap.ts';
import { staged } from '../../workers/stageless/stores.ts';
import { ConjurDouble } from '../doubles/conjur.ts';
import { callWith } from './stores-calls.ts';
import { aShelf, onShelf, secretFile, stopShelf } from './stores-stageless-home.ts';

const PATH = 'shop/app';
const [A, B] = ['0a0a0a0a-0000-4000-8000-00000000000a', '0b0b0b0b-0000-4000-8000-00000000000b'] as const;
const document = (password: string) => SecretValue.of(JSON.stringify({ username: 'app', password }));
const call = (fence = 1n) => callWith(fence);
const code = (wanted: string) => expect.objectContaining({ code: wanted });

let conjur: ConjurDouble;
beforeEach(async () => {
  conjur = await new ConjurDouble('api-key').declare(PATH).listen();
});
afterEach(() => conjur.stop());
afterAll(stopShelf);

async function opened(changes: object = {}, keyring?: Keyring): Promise<StoreSession> {
  const auth = { apiKey: { login: conjur.login, from: { file: await secretFile(conjur.apiKey) } } };
  const spec = { url: conjur.url, account: conjur.account, auth, ...changes };
  const shelf = await aShelf();
  const store = staged(conjurStore as StagelessStore, keyring ? { ...shelf, keyring } : shelf);
  return store.open(store.spec.parse(spec));
}

async function withAAndB(): Promise<StoreSession> {
  const store = await opened();
  await store.stage(call(), PATH, A, document('a'));
  await store.promote(call(), PATH, A, undefined);
  await store.stage(call(), PATH, B, document('b'));
  return store;
}

const stagesOf = async (store: StoreSession) =>
  (await store.list(call(0n), PATH)).map(
    ({ versionId, stages }) => `${versionId.slice(0, 2)}=${stages.join('+')}`,
  );
const consumed = () => JSON.parse(conjur.value(PATH) ?? '{}').password;

test('consumers read the current version, and never one that is pending', async () => {
  const store = await withAAndB();
  expect(consumed()).toBe('a');
  await store.promote(call(), PATH, B, A);
  expect(consumed()).toBe('b');
  await store.promote(call(), PATH, A, B);
  expect(consumed()).toBe('a');
});

test('what stands there already is the current version, and can be gone back to', async () => {
  conjur.variables.set(PATH, ['{"username":"app","password":"by hand"}']);
  const store = await opened();
  const found = await store.read(call(0n), PATH, 'current');
  await store.stage(call(), PATH, B, document('b'));
  await store.promote(call(), PATH, B, found?.versionId);
  expect(consumed()).toBe('b');
  expect((await store.read(call(0n), PATH, 'previous'))?.versionId).toBe(found?.versionId);
  await store.promote(call(), PATH, found?.versionId ?? '', B);
  expect(consumed()).toBe('by hand');
});

test('a change by hand in the middle is not overwritten', async () => {
  const store = await withAAndB();
  conjur.variables.get(PATH)?.push('{"password":"by hand"}');
  await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('store.conflict'));
  expect(consumed()).toBe('by hand');
  expect((await store.read(call(0n), PATH, { versionId: A }))?.document.equals(document('a'))).toBe(true);
});

test('one between the decision and the write is not overwritten either', async () => {
  const store = await withAAndB();
  conjur.instead.push({ status: 200, text: document('a').reveal() }, 'cut');
  await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('provider.connection-lost'));
  conjur.variables.get(PATH)?.push('{"password":"by hand"}');
  await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('store.conflict'));
  expect(consumed()).toBe('by hand');
});

test.each(['cut', 'cutAfter'] as const)(
  'a write whose answer is lost (%s) is looked for, and finished by a repeat',
  async (how) => {
    const store = await withAAndB();
    conjur.disturb = async (when, { method }) =>
      method === 'POST' && when === (how === 'cut' ? 'before' : 'after') ? 'cut' : undefined;
    await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('provider.connection-lost'));
    conjur.disturb = async () => undefined;
    const before = conjur.asked.filter((each) => each.startsWith('POST /secrets')).length;
    await store.promote(call(), PATH, B, A);
    expect(conjur.asked.filter((each) => each.startsWith('POST /secrets')).length - before).toBe(
      how === 'cut' ? 1 : 0,
    );
    expect(await stagesOf(store)).toEqual(['0b=current', '0a=previous']);
    expect(consumed()).toBe('b');
  },
);

test('a decision that Conjur refuses to carry out is taken back without a write', async () => {
  const store = await withAAndB();
  conjur.privileges.delete('update');
  await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('store.permission-denied'));
  await store.promote(call(), PATH, A, B);
  expect(await stagesOf(store)).toContain('0a=current');
  await store.discard(call(), PATH, B);
  expect(consumed()).toBe('a');
});

test('an earlier version that somebody put back is the current one', async () => {
  const store = await withAAndB();
  await store.promote(call(), PATH, B, A);
  conjur.variables.get(PATH)?.push(document('a').reveal());
  expect(await stagesOf(store)).toEqual(['0b=previous', '0a=current']);
  await store.promote(call(), PATH, A, B);
  await store.promote(call(), PATH, B, A);
  expect(consumed()).toBe('b');
});

test('a server that goes on showing the old value is named, and not written to again and again', async () => {
  const store = await withAAndB();
  conjur.disturb = async (when, { method }) => {
    if (when === 'after' && method === 'POST') conjur.variables.get(PATH)?.push(document('a').reveal());
    return undefined;
  };
  const refused = store.promote(call(), PATH, B, A);
  await expect(refused).rejects.toEqual(
    expect.objectContaining({ code: 'store.unavailable', kind: 'ambiguous' }),
  );
  expect(conjur.asked.filter((each) => each.startsWith('POST /secrets'))).toHaveLength(2);
});

test.each([
  [429, 'store.throttled', 'retryable'],
  [403, 'store.permission-denied', 'terminal'],
  [422, 'store.unsupported', 'terminal'],
  [413, 'store.too-large', 'terminal'],
  [500, 'store.unavailable', 'ambiguous'],
  [503, 'store.unavailable', 'retryable'],
])('%i is %s, %s, and tells nothing of the document', async (status, wanted, kind) => {
  const store = await withAAndB();
  conjur.instead.push({ status, headers: { 'retry-after': '3' }, body: { error: { message: 'pw-secret' } } });
  const error = await store.read(call(0n), PATH, 'current').catch((thrown) => thrown);
  expect(error).toEqual(expect.objectContaining({ code: wanted, kind }));
  expect(JSON.stringify(error)).not.toContain('pw-secret');
  if (status === 429) expect(error.retryAfterMs).toBe(3_000);
});

test('a variable that no policy declares is explained, and so is each missing privilege', async () => {
  const store = await opened();
  const undeclared = await store.check?.(call(), 'shop/other').catch((thrown) => thrown);
  expect(undeclared).toEqual(code('store.not-found'));
  expect(`${undeclared.message} ${undeclared.hint}`).toMatch(/no variable shop\/other.*- !variable/);
  expect(await store.check?.(call(), PATH)).toEqual({ warnings: [] });
  for (const privilege of ['execute', 'update'] as const) {
    conjur.privileges.delete(privilege);
    await expect(store.check?.(call(), PATH)).rejects.toThrow(
      `lacks the privilege "${privilege}" on the variable ${PATH}`,
    );
    conjur.privileges.add(privilege);
  }
});

test('an access token that Conjur no longer takes is replaced, one that grows old before that', async () => {
  const store = await withAAndB();
  const logins = () => conjur.asked.filter((each) => each.endsWith('/authenticate')).length;
  expect(logins()).toBe(1);
  conjur.tokens.clear();
  await store.read(call(0n), PATH, 'current');
  expect(logins()).toBe(2);
  const later = call(0n);
  const clock = { ...later.clock, monotonicMs: () => later.clock.monotonicMs() + 7 * 60_000 };
  await store.read({ ...later, clock }, PATH, 'current');
  expect(logins()).toBe(3);
});

test('a token of Kubernetes opens the door, and so does one that a sidecar keeps; a wrong key does not', async () => {
  conjur.variables.set(PATH, ['x']);
  const byJwt = { jwt: { serviceId: 'kubernetes', tokenFile: await secretFile(conjur.jwt) } };
  expect((await (await opened({ auth: byJwt })).read(call(0n), PATH, 'current'))?.document.size).toBe(1);
  const [token = ''] = conjur.tokens;
  for (const form of [token, Buffer.from(token, 'base64').toString()]) {
    const store = await opened({ auth: { accessToken: { file: await secretFile(form) } } });
    expect((await store.read(call(0n), PATH, 'current'))?.document.size).toBe(1);
  }
  const wrong = { apiKey: { login: conjur.login, from: { file: await secretFile('wrong') } } };
  const error = await (await opened({ auth: wrong }))
    .read(call(0n), PATH, 'current')
    .catch((thrown) => thrown);
  expect(error).toEqual(code('store.refused'));
  expect(error.message).toContain('authn/shop/host%2Frotor/authenticate');
});

test('after the key was replaced what is in the ledger opens with the new one alone', async () => {
  const { ledger } = await aShelf();
  const [first, second, stable] = [newKey(), newKey(), newKey()];
  const copy = (key: Buffer) => Buffer.from(key);
  const both = Keyring.of([copy(second), copy(first)], copy(stable));
  const before = await opened({}, Keyring.of([copy(first)], copy(stable)));
  await before.stage(call(), PATH, A, document('a'));
  await before.promote(call(), PATH, A, undefined);
  await before.stage(call(), PATH, B, document('b'));
  const alone = await opened({}, Keyring.of([copy(second)], copy(stable)));
  await expect(alone.read(call(0n), PATH, 'pending')).rejects.toEqual(code('store.sealed'));
  await ledger.query('DELETE FROM rotor.stageless_versions WHERE home <> $1', [`conjur ${conjur.url} shop`]);
  expect(await rewrapStageless({ ledger, keyring: both })).toBe(2);
  expect(await rewrapStageless({ ledger, keyring: both })).toBe(0);
  expect((await alone.read(call(0n), PATH, 'pending'))?.document.equals(document('b'))).toBe(true);
  await alone.promote(call(), PATH, B, A);
  expect(consumed()).toBe('b');
});

test('rotor key rewrap takes the ledger along when it is told where that is, and says when it is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-key-'));
  const file = join(folder, 'key');
  await createKeyFile(file);
  const shelf = await aShelf();
  await shelf.ledger.query('DELETE FROM rotor.stageless_versions');
  const store = await opened({}, await loadKeyring(file));
  await store.stage(call(), PATH, A, document('a'));
  await addKey(file);
  await activateLastKey(file);
  vi.stubEnv('ROTOR_DATABASE_URL', '');
  vi.stubEnv('ROTOR_HOME', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const rewrap = async (output: string) => {
    const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const program = new Command().option('-o, --output <format>', '', output);
    registerKeyCommands(program);
    await program.parseAsync(['key', 'rewrap', '--key-file', file], { from: 'user' });
    const [printed] = said.mock.calls.at(-1) ?? [];
    said.mockRestore();
    return String(printed);
  };
  expect(await rewrap('table')).toMatch(/the ledger was not looked at.*remove no key before/s);
  await mkdir(join(folder, 'postgres', 'data'), { recursive: true });
  expect(await rewrap('table')).toMatch(/restart Rotor if .*, then remove the lines of the older keys/);
  vi.stubEnv('ROTOR_DATABASE_URL', shelf.url.reveal());
  const printed = await rewrap('json');
  expect(JSON.parse(printed)).toMatchObject({ rewrapped: 0, inLedger: 1, ledger: 'rewrapped' });
  const lines = (await readFile(file, 'utf8')).split('\n');
  const keys = lines.filter((line) => /^[A-Za-z0-9+/]{43}=$/.test(line));
  await writeFile(file, lines.filter((line) => line !== keys.at(-1)).join('\n'), { mode: 0o600 });
  const after = await opened({}, await loadKeyring(file));
  expect((await after.read(call(0n), PATH, 'pending'))?.document.equals(document('a'))).toBe(true);
});

test('a discarded version is gone from the ledger, and a sealed one opens nowhere else', async () => {
  const store = await withAAndB();
  const { ledger } = await aShelf();
  await store.discard(call(), PATH, B);
  const rows = (await onShelf()).map(String).filter((row) => row.includes(conjur.url));
  expect(rows.some((row) => row.includes(B))).toBe(false);
  await store.stage(call(), PATH, B, document('b'));
  await ledger.query(
    `UPDATE rotor.stageless_versions v SET sealed = a.sealed FROM rotor.stageless_versions a
      WHERE v.home = a.home AND v.version_id = $1 AND a.version_id = $2`,
    [B, A],
  );
  await expect(store.read(call(0n), PATH, 'pending')).rejects.toEqual(code('store.sealed'));
});

test('Stores that spell one variable differently share its versions', async () => {
  await withAAndB();
  const prefixed = await opened({ url: `${conjur.url.toUpperCase()}/`, prefix: 'shop/' });
  expect((await prefixed.list(call(0n), 'app')).map(({ versionId }) => versionId).toSorted()).toEqual([A, B]);
  expect((await prefixed.read(call(0n), 'app', 'pending'))?.document.equals(document('b'))).toBe(true);
});
