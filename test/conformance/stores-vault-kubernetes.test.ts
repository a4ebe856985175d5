import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { SecretValue } from '../../core/secret.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import type { StoreSession } from '../../stores/store.ts';
import { vaultStore } from '../../stores/vault/store.ts';
import { stopTestVault, type TestVault, testVault, VAULTS, type VaultName } from '../setup/vault.ts';
import { callWith } from './stores-calls.ts';

const PATH = 'shop/app';
const AUDIENCE = 'https://kubernetes.default.svc';
const HOUR_MS = 3_600_000;

let vault: TestVault;
let cluster: SandboxApi;
let folder: string;
let tokenFile: string;
let mount: string;
/** Tokens that the cluster was asked to review. */
let reviews = 0;

/**
 * A token of a pod's service account as the kubelet writes it to its file: signed, bound, and let in by the sandbox's API
 * server, which Vault asks with a TokenReview. The sandbox signs none itself.
 */
async function projected(account: string): Promise<string> {
  const name = `system:serviceaccount:shop:${account}`;
  const { privateKey } = await generateKeyPair('ES256');
  const token = await new SignJWT({
    'kubernetes.io': { namespace: 'shop', serviceaccount: { name: account, uid: `uid-of-${name}` } },
  })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(AUDIENCE)
    .setSubject(name)
    .setAudience([AUDIENCE])
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey);
  return cluster.addUser(name, ['system:serviceaccounts'], token);
}

/** The kubelet puts another token into the file; the one before is let in no more. */
async function replaced(before: string): Promise<string> {
  cluster.expireToken(before);
  const token = await projected('rotor');
  await writeFile(tokenFile, token);
  return token;
}

const opened = (role = 'rotor'): StoreSession =>
  vaultStore.open(
    vaultStore.spec.parse({
      address: vault.address,
      mount,
      auth: { kubernetes: { role, tokenFile, mount: 'kubernetes' } },
    }),
  );
const later = (ms: number) => {
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + ms };
  return { ...callWith(0n), clock };
};
const living = async () => (await vault.call('LIST', 'auth/token/accessors')).data.keys as string[];

const promises = (name: VaultName) => () => {
  beforeAll(async () => {
    vault = await testVault(name);
    cluster = await startApiServer();
    cluster.faults.before = ({ path }: { readonly path: string }) => {
      if (path.endsWith('/tokenreviews')) reviews += 1;
      return 'ok';
    };
    folder = await mkdtemp(join(tmpdir(), 'rotor-vault-kubernetes-'));
    tokenFile = join(folder, 'token');
    mount = await vault.mount();
    await vault.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
    await vault.call('POST', 'auth/kubernetes/config', {
      kubernetes_host: cluster.url,
      kubernetes_ca_cert: cluster.caCertificate,
      token_reviewer_jwt: cluster.addUser('vault', ['system:masters']),
      disable_local_ca_jwt: true,
    });
    const policy = `path "${mount}/*" { capabilities = ["create", "read", "update", "delete"] }`;
    await vault.call('PUT', 'sys/policies/acl/by-kubernetes', { policy });
    await vault.call('POST', 'auth/kubernetes/role/rotor', {
      bound_service_account_names: 'rotor',
      bound_service_account_namespaces: 'shop',
      audience: AUDIENCE,
      token_policies: ['by-kubernetes'],
      token_ttl: '1h',
    });
  });
  afterAll(async () => {
    await cluster.stop();
    stopTestVault();
    await rm(folder, { recursive: true, force: true });
  });

  test('a pod logs in by its service account, which the cluster is asked about, once for many calls', async () => {
    await writeFile(tokenFile, `${await projected('rotor')}\n`);
    const [before, asked] = [(await living()).length, reviews];
    const store = opened();
    await store.stage(callWith(1n), PATH, 'a', SecretValue.of('{"password":"one"}'));
    expect((await store.read(callWith(0n), PATH, 'pending'))?.versionId).toBe('a');
    expect([(await living()).length, reviews]).toEqual([before + 1, asked + 1]);
    await store.close();
    expect((await living()).length).toBe(before);
  });

  test('two thirds into its lease it logs in anew, with the token that is in the file by then', async () => {
    const first = await projected('rotor');
    await writeFile(tokenFile, first);
    const store = opened();
    await store.read(callWith(0n), PATH, 'current');
    await replaced(first);
    const asked = reviews;
    await store.read(later(HOUR_MS / 2), PATH, 'current');
    expect(reviews).toBe(asked);
    await store.read(later(HOUR_MS * 0.7), PATH, 'current');
    expect(reviews).toBe(asked + 1);
    await store.close();
  });

  test('a login that Vault has taken back is made anew, with the token that is in the file by then', async () => {
    const first = await projected('rotor');
    await writeFile(tokenFile, first);
    const store = opened();
    const before = new Set(await living());
    await store.read(callWith(0n), PATH, 'current');
    const [accessor] = (await living()).filter((each) => !before.has(each));
    await vault.call('POST', 'auth/token/revoke-accessor', { accessor });
    await replaced(first);
    await store.read(callWith(0n), PATH, 'current');
    await store.close();
    expect((await living()).filter((each) => !before.has(each))).toEqual([]);
  });

  test.each(['another service account', 'an expired token', 'no token of a cluster'])(
    '%s is refused, with the path of the login and no token',
    async (who) => {
      const token = who.startsWith('another')
        ? await projected('somebody')
        : who.startsWith('an ')
          ? await projected('rotor')
          : 'marker-of-no-token';
      if (who.startsWith('an ')) cluster.expireToken(token);
      await writeFile(tokenFile, token);
      const store = opened();
      const error = await store.read(callWith(0n), PATH, 'current').catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'store.refused',
        kind: 'terminal',
        message: expect.stringContaining('auth/kubernetes/login'),
      });
      expect(JSON.stringify(error)).not.toContain(token);
      await store.close();
    },
  );

  test('a role that Vault does not know is refused', async () => {
    await writeFile(tokenFile, await projected('rotor'));
    await expect(opened('nobody').read(callWith(0n), PATH, 'current')).rejects.toMatchObject({
      code: 'store.refused',
    });
  });
};

for (const { name, missing } of VAULTS) {
  const title = `${name}, login by Kubernetes${missing ? ` (${missing})` : ''}`;
  describe.skipIf(missing)(title, promises(name));
}
