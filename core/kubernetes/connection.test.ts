import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Cluster, kubeconfigClusters } from './cluster.ts';

let api: SandboxApi;
let folder: string;
beforeAll(async () => {
  api = await startApiServer();
});
afterAll(() => api.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-kubeconfig-'));
  vi.stubEnv('KUBECONFIG', join(folder, 'config'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const ref = { apiVersion: 'v1', kind: 'Secret', namespace: 'default', name: 'db' };
const admin = () => api.addUser('admin', ['system:masters']);
const tokenIn = (kubeconfig: string) => /token: (\S+)/.exec(kubeconfig)?.[1] ?? '';

/** As the file of the workers says from now on; `user` in YAML's flow style. */
async function kubeconfig(user: string): Promise<void> {
  const text = api.kubeconfig().replace(/user:\n\s+token: \S+/, `user: ${user}`);
  expect(text).toContain(user);
  await writeFile(join(folder, 'config'), text);
}
const open = (): Promise<Cluster> => kubeconfigClusters().open(undefined);

test('a kubeconfig with another token is read anew when the old one is refused, by requests and by watches', async () => {
  const first = admin();
  await kubeconfig(`{ token: ${first} }`);
  const cluster = await open();
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  api.expireToken(first);
  await expect(cluster.read(aCall(), ref)).rejects.toMatchObject({ code: 'cluster.refused' });
  await kubeconfig(`{ token: ${admin()} }`);
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  api.expireToken(tokenIn(api.kubeconfig()));
  await kubeconfig(`{ token: ${admin()} }`);
  const page = await cluster.collections.page(
    { apiVersion: 'v1', kind: 'Namespace' },
    {},
    AbortSignal.timeout(5_000),
  );
  expect(page).toMatchObject({ items: expect.arrayContaining([expect.anything()]) });
});

test('the file that `tokenFile` names is read again when its token is refused', async () => {
  await writeFile(join(folder, 'token'), `${admin()}\n`);
  await kubeconfig('{ tokenFile: token }');
  const cluster = await open();
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  api.expireToken(tokenIn(api.kubeconfig()));
  await writeFile(join(folder, 'token'), `${admin()}\n`);
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  await rm(join(folder, 'token'));
  await expect((await open()).read(aCall(), ref)).rejects.toMatchObject({
    code: 'cluster.refused',
    kind: 'retryable',
    message: expect.stringContaining(
      'cluster sandbox: what the kubeconfig names for user "admin" cannot be read (ENOENT)',
    ),
  });
});

test('a program that hands out credentials is asked again when they are refused; when it fails it is named', async () => {
  const program = join(folder, 'login');
  const hand = (token: string) =>
    writeFile(
      program,
      `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${token}"}}'\n`,
    );
  await hand(admin());
  await chmod(program, 0o700);
  await kubeconfig(`{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ${program} } }`);
  const cluster = await open();
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  api.expireToken(tokenIn(api.kubeconfig()));
  await hand(admin());
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
  await writeFile(program, '#!/bin/sh\necho marker >&2\nexit 1\n');
  const failing = (await open()).read(aCall(), ref);
  await expect(failing).rejects.toMatchObject({ code: 'cluster.refused', kind: 'retryable' });
  await expect(failing).rejects.toThrow(
    `cluster sandbox: the program "${program}" hands out no credentials for user "admin"`,
  );
  expect(JSON.stringify(await failing.catch((error: unknown) => error))).not.toContain('marker');
});
