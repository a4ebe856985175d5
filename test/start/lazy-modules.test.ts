import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Addresses of the modules that a program loads. */
async function loadedBy(...args: readonly string[]): Promise<readonly string[]> {
  const file = join(await mkdtemp(join(tmpdir(), 'rotor-loaded-')), 'modules');
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', here('test/setup/loaded-modules.ts'), ...args],
    { env: { ...process.env, ROTOR_TEST_LOADED: file }, encoding: 'utf8' },
  );
  expect(status, stderr).toBe(0);
  return (await readFile(file, 'utf8')).trim().split('\n');
}

const ofClouds = (modules: readonly string[]) =>
  modules.filter((url) => /@aws-sdk|@smithy|@azure|@google-cloud|google-gax/.test(url));

test.each([
  [['orchestrator/cli/main.ts', '--help']],
  [['orchestrator/cli/main.ts', 'validate', '-f', 'examples/aws-secrets-manager']],
  [['orchestrator/cli/main.ts', 'validate', '-f', 'examples/azure-key-vault']],
  [['orchestrator/cli/main.ts', 'validate', '-f', 'examples/gcp-secret-manager']],
  [['stores/registry.ts']],
])('%s loads no SDK of a cloud', async ([program = '', ...args]) => {
  const modules = await loadedBy(here(program), ...args.map((arg) => (arg.includes('/') ? here(arg) : arg)));
  expect(modules.length).toBeGreaterThan(2);
  expect(ofClouds(modules)).toEqual([]);
});

test('the command line starts without what a server needs: it is typed by people who wait', async () => {
  const modules = await loadedBy(here('orchestrator/cli/main.ts'), '--help');
  const ofServers =
    /node_modules\/(@opentelemetry|@kubernetes|bullmq|pg|ioredis|hono|nodemailer|node-cron)\//;
  expect(modules.length).toBeGreaterThan(20);
  expect(modules.filter((url) => ofServers.test(url))).toEqual([]);
});

test('who opens a store of AWS loads its SDK, and not that of another', async () => {
  const program = `
    const { awsSecretsManagerStore } = await import(${JSON.stringify(here('stores/aws-secrets-manager/store.ts'))});
    const { callWith } = await import(${JSON.stringify(here('test/conformance/stores-calls.ts'))});
    const kind = awsSecretsManagerStore();
    const store = kind.open(kind.spec.parse({ region: 'eu-central-1', endpoint: 'http://127.0.0.1:1' }));
    await store.read(callWith(0n, 100), 'a', 'current').catch(() => undefined);`;
  const modules = ofClouds(await loadedBy('--input-type=module', '-e', program));
  expect(modules.some((url) => url.includes('client-secrets-manager'))).toBe(true);
  expect(modules.some((url) => /client-ssm|credential-providers/.test(url))).toBe(false);
});
