import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import type { StoreSession } from '../../stores/store.ts';
import { vaultStore } from '../../stores/vault/store.ts';
import {
  stopTestVault,
  type TestVault,
  testVault,
  VAULTS,
  type VaultAnswer,
  type VaultName,
} from '../setup/vault.ts';
import { callWith } from './stores-calls.ts';

const PATH = 'shop/app';
const call = (fence = 1n) => callWith(fence);
const document = (password: string) => SecretValue.of(JSON.stringify({ username: 'app', password }));

let vault: TestVault;
let folder: string;

/** The policy of docs/vault.md. */
const policy = (mount: string) => `
path "${mount}/data/shop/*"           { capabilities = ["create", "read", "update"] }
path "${mount}/destroy/shop/*"        { capabilities = ["update"] }
path "${mount}/data/rotor/*"          { capabilities = ["create", "read", "update"] }
path "${mount}/metadata/rotor/*"      { capabilities = ["delete"] }
`;

const tokenFile = async (token: string, name = 'token') => {
  await writeFile(join(folder, name), `${token}\n`, { mode: 0o600 });
  return join(folder, name);
};

async function opened(
  mount: string,
  changes: object = {},
  token: string = vault.token,
): Promise<StoreSession> {
  const auth = { token: { file: await tokenFile(token) } };
  return vaultStore.open(vaultStore.spec.parse({ address: vault.address, mount, auth, ...changes }));
}

const tokenWith = async (name: string, rules: string, more: object = {}): Promise<string> => {
  await vault.call('PUT', `sys/policies/acl/${name}`, { policy: rules });
  const made = await vault.call('POST', 'auth/token/create', { policies: [name], ...more });
  return made.auth.client_token;
};

const stagesOf = async (store: StoreSession) =>
  (await store.list(call(0n), PATH)).map(({ stages }) => stages.join('+'));

/** What a consumer reads, with Vault's own number of the version. */
const consumed = async (mount: string): Promise<readonly [number, VaultAnswer]> => {
  const { data } = await vault.call('GET', `${mount}/data/${PATH}`);
  return [data.metadata.version, data.data];
};

const promises = (name: VaultName) => () => {
  beforeAll(async () => {
    vault = await testVault(name);
    folder = await mkdtemp(join(tmpdir(), 'rotor-vault-'));
  });
  afterAll(stopTestVault);

  test('consumers read the current version field by field, and never a pending one', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    await store.stage(call(), PATH, 'a', document('one'));
    await expect(consumed(mount)).rejects.toThrow('404');
    await store.promote(call(), PATH, 'a', undefined);
    await store.stage(call(), PATH, 'b', document('two'));
    expect(await consumed(mount)).toEqual([1, { username: 'app', password: 'one' }]);
    await store.promote(call(), PATH, 'b', 'a');
    expect(await consumed(mount)).toEqual([2, { username: 'app', password: 'two' }]);
  });

  test('a secret that is there already is the current version, kept as previous, and can be gone back to', async () => {
    const mount = await vault.mount();
    await vault.call('POST', `${mount}/data/${PATH}`, {
      data: { username: 'app', password: 'old', port: 5432 },
    });
    const store = await opened(mount);
    const found = await store.read(call(0n), PATH, 'current');
    expect(JSON.parse(found?.document.reveal() ?? '')).toEqual({
      username: 'app',
      password: 'old',
      port: 5432,
    });
    expect(found?.versionId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    await store.stage(call(), PATH, 'b', document('new'));
    await store.promote(call(), PATH, 'b', found?.versionId);
    expect(await stagesOf(store)).toEqual(['current', 'previous']);
    await store.promote(call(), PATH, found?.versionId ?? '', 'b');
    expect(await consumed(mount)).toEqual([3, { username: 'app', password: 'old', port: 5432 }]);
  });

  test('what somebody writes by hand in mid-rotation is not overwritten, and the next rotation starts from it', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    await store.stage(call(), PATH, 'a', document('one'));
    await store.promote(call(), PATH, 'a', undefined);
    await store.stage(call(), PATH, 'b', document('two'));
    await vault.call('POST', `${mount}/data/${PATH}`, { data: { username: 'app', password: 'by hand' } });
    await expect(store.promote(call(), PATH, 'b', 'a')).rejects.toMatchObject({ code: 'store.conflict' });
    expect(await consumed(mount)).toEqual([2, { username: 'app', password: 'by hand' }]);
    const now = await store.read(call(0n), PATH, 'current');
    await store.promote(call(), PATH, 'b', now?.versionId);
    expect(await consumed(mount)).toEqual([3, { username: 'app', password: 'two' }]);
  });

  test('a discarded version is destroyed in the history of the path too', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    await store.stage(call(), PATH, 'a', document('one'));
    await store.promote(call(), PATH, 'a', undefined);
    await store.stage(call(), PATH, 'b', document('two'));
    await store.promote(call(), PATH, 'b', 'a');
    await store.discard(call(), PATH, 'a');
    const { data } = await vault.call('GET', `${mount}/metadata/${PATH}`);
    expect(Object.values(data.versions).map((each) => (each as VaultAnswer).destroyed)).toEqual([
      true,
      false,
    ]);
    await expect(vault.call('GET', `${mount}/metadata/rotor/versions/${PATH}/a`)).rejects.toThrow('404');
  });

  test('versions beyond keepVersions are destroyed as new ones come', async () => {
    const mount = await vault.mount();
    const store = await opened(mount, { keepVersions: 1 });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await store.stage(call(), PATH, id, document(id));
    expect((await store.list(call(0n), PATH)).map(({ versionId }) => versionId)).toEqual(['e', 'd']);
    const { data } = await vault.call('LIST', `${mount}/metadata/rotor/versions/${PATH}`);
    expect(data.keys).toEqual(['d', 'e']);
  });

  test('KV version 1, another engine and a mount that is not there are refused in words', async () => {
    await vault.call('POST', 'sys/mounts/cubby', { type: 'kv', options: { version: '1' } });
    for (const mount of ['cubby', 'identity']) {
      const store = await opened(mount);
      await expect(store.stage(call(), PATH, 'a', document('one'))).rejects.toMatchObject({
        code: 'store.unsupported',
        message: expect.stringContaining(`"${mount}"`),
      });
    }
    const store = await opened('nowhere');
    await expect(store.read(call(), PATH, 'current')).rejects.toMatchObject({ kind: 'terminal' });
  });

  test('the documented policy is enough, and each part that is missing is named', async () => {
    const mount = await vault.mount();
    const round = async (store: StoreSession) => {
      await store.stage(call(), PATH, 'a', document('one'));
      await store.promote(call(), PATH, 'a', undefined);
      await store.stage(call(), PATH, 'b', document('two'));
      await store.promote(call(), PATH, 'b', 'a');
      await store.discard(call(), PATH, 'a');
    };
    const whole = policy(mount);
    const lines = whole.trim().split('\n');
    const able = await opened(mount, {}, await tokenWith('whole', whole));
    expect(await able.check?.(call(), PATH)).toEqual({ warnings: [] });
    await round(able);
    for (const [index, line] of lines.entries()) {
      const other = await vault.mount();
      const rules = policy(other)
        .trim()
        .split('\n')
        .filter((_, at) => at !== index)
        .join('\n');
      const named = /"([^"]+)\/\*"/.exec(line.replaceAll(mount, other))?.[1];
      const unable = await opened(other, {}, await tokenWith(`part-${index}`, rules));
      const refusal = { code: 'store.permission-denied', message: expect.stringContaining(`${named}/`) };
      await expect(unable.check?.(call(), PATH)).rejects.toMatchObject(refusal);
      await expect(round(unable)).rejects.toMatchObject(refusal);
    }
  });

  test('a token that was replaced in its file is read again, and one that ended is refused in words', async () => {
    const mount = await vault.mount();
    const first = await tokenWith('short', policy(mount), { ttl: '1h' });
    const store = await opened(mount, {}, first);
    await store.stage(call(), PATH, 'a', document('one'));
    await vault.call('POST', 'auth/token/revoke', { token: first });
    await expect(store.read(call(0n), PATH, 'pending')).rejects.toMatchObject({
      code: 'store.permission-denied',
    });
    await tokenFile(await tokenWith('short', policy(mount)));
    expect((await store.read(call(0n), PATH, 'pending'))?.versionId).toBe('a');
  });

  test('a login by AppRole works, and its token is revoked when the session closes', async () => {
    const mount = await vault.mount();
    await vault.call('PUT', 'sys/policies/acl/by-role', { policy: policy(mount) });
    await vault.call('POST', 'sys/auth/approle', { type: 'approle' });
    await vault.call('POST', 'auth/approle/role/rotor', { token_policies: ['by-role'], token_ttl: '20m' });
    const { data } = await vault.call('GET', 'auth/approle/role/rotor/role-id');
    const secret = await vault.call('POST', 'auth/approle/role/rotor/secret-id');
    const secretIdFrom = { file: await tokenFile(secret.data.secret_id, 'secret-id') };
    const store = await opened(mount, { auth: { appRole: { roleId: data.role_id, secretIdFrom } } });
    await store.stage(call(), PATH, 'a', document('one'));
    const living = async () => (await vault.call('LIST', 'auth/token/accessors')).data.keys.length;
    const before = await living();
    await store.close();
    expect(await living()).toBe(before - 1);
    const wrong = await opened(mount, { auth: { appRole: { roleId: 'nobody', secretIdFrom } } });
    await expect(wrong.read(call(), PATH, 'current')).rejects.toMatchObject({
      code: 'store.refused',
      message: expect.stringContaining('auth/approle/login'),
    });
  });

  test('a login by a signed token works', async () => {
    const mount = await vault.mount();
    await vault.call('PUT', 'sys/policies/acl/by-jwt', { policy: policy(mount) });
    await vault.call('POST', 'sys/auth/jwt', { type: 'jwt' });
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    await vault.call('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [await exportSPKI(publicKey)] });
    await vault.call('POST', 'auth/jwt/role/rotor', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_audiences: ['vault'],
      token_policies: ['by-jwt'],
    });
    const jwt = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256' })
      .setSubject('rotor')
      .setAudience('vault')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    const from = { file: await tokenFile(jwt, 'jwt') };
    const store = await opened(mount, { auth: { jwt: { role: 'rotor', from } } });
    await store.stage(call(), PATH, 'a', document('one'));
    expect((await store.read(call(0n), PATH, 'pending'))?.versionId).toBe('a');
    await store.close();
  });

  test('a rate limit quota is waited for as long as Vault says', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    await store.read(call(0n), PATH, 'current');
    await vault.call('POST', 'sys/quotas/config', { enable_rate_limit_response_headers: true });
    await vault.call('POST', `sys/quotas/rate-limit/${mount}`, {
      path: `${mount}/`,
      rate: 1,
      interval: '1m',
    });
    const many = async () => {
      for (let tries = 0; tries < 10; tries += 1) await store.read(call(0n), PATH, 'current');
    };
    await expect(many()).rejects.toMatchObject({
      code: 'store.throttled',
      kind: 'retryable',
      retryAfterMs: expect.any(Number),
    });
    await vault.call('DELETE', `sys/quotas/rate-limit/${mount}`);
  });

  test('a document of over a mebibyte is refused in words by a storage that is too small for it, or kept whole', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    const large = SecretValue.of('x'.repeat(1_200_000));
    const staging = store.stage(call(), PATH, 'a', large);
    // OpenBao's storage in memory takes documents of any size.
    if (name === 'OpenBao') {
      await staging;
      expect((await store.read(call(), PATH, 'pending'))?.document.equals(large)).toBe(true);
    } else {
      await expect(staging).rejects.toMatchObject({ code: 'store.too-large' });
      expect(await store.list(call(0n), PATH)).toEqual([]);
    }
  });

  test('a record that somebody else wrote is not believed', async () => {
    const mount = await vault.mount();
    const store = await opened(mount);
    await vault.call('POST', `${mount}/data/rotor/stages/${PATH}`, { data: { mine: 'yes' } });
    await expect(store.list(call(0n), PATH)).rejects.toMatchObject({ code: 'store.conflict' });
  });

  test.each(['../sys', 'rotor/versions/x', 'a//b', 'a?b', ''])('the path "%s" is refused', async (path) => {
    const store = await opened(await vault.mount());
    await expect(store.read(call(), path, 'current')).rejects.toMatchObject({ code: 'manifest.invalid' });
  });
};

for (const { name, missing } of VAULTS)
  describe.skipIf(missing)(`${name} as a store${missing ? ` (${missing})` : ''}`, promises(name));
