import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { getRotation } from '../../ledger/rotations.ts';
import { sampled } from '../setup/matrix.ts';
import { stopTestVault, testVault, VAULTS, type VaultName } from '../setup/vault.ts';
import { type Stage, setStage } from './stage.ts';

const FORWARD = [
  'forward:generate:announced',
  'forward:generate:performed',
  'forward:publish:announced',
  'forward:publish:performed',
  'forward:revoke:performed',
  'forward:prove:performed',
];

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.stop();
  stage = undefined;
});
afterAll(stopTestVault);

async function inVault(name: VaultName) {
  const vault = await testVault(name);
  const mount = await vault.mount();
  const file = join(await mkdtemp(join(tmpdir(), 'rotor-vault-')), 'token');
  await writeFile(file, vault.token, { mode: 0o600 });
  const spec = { address: vault.address, mount, auth: { token: { file } } };
  return { vault, mount, store: { kind: 'vault', spec, path: 'shop/app' } };
}

async function killedAt(point: string, id: string): Promise<void> {
  const worker = await (stage as Stage).startWorker({ point, signal: 'SIGKILL' });
  const told = async () => `${point}\n${worker.output()}\n${await stage?.journal(id)}`;
  expect(await worker.exited, await told()).toBe('SIGKILL');
}

const promises = (name: VaultName) => () => {
  test('workers killed around every step that writes there: done, proven, and readable by who reads Vault', {
    timeout: 240_000,
  }, async () => {
    stage = await setStage((ledgerUrl) => ledgerUrl);
    const { vault, mount, store } = await inVault(name);
    const id = await stage.startRotation({ store });
    for (const point of sampled(FORWARD, 2)) await killedAt(point, id);
    await stage.startWorker();
    const rotation = await stage.ended(id);
    const told = await stage.journal(id);
    expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
    const { data } = await vault.call('GET', `${mount}/data/shop/app`);
    const held = stage.client.held();
    expect(data.data, told).toMatchObject({ username: held.username, password: held.password });
    expect(stage.client.refusals).toEqual([]);
  });

  test('a secret that Vault holds already is taken over, and a rotation that turns back leaves it as it was', {
    timeout: 240_000,
  }, async () => {
    stage = await setStage((ledgerUrl) => ledgerUrl);
    const { vault, mount, store } = await inVault(name);
    const { app } = stage;
    const existing = {
      engine: 'postgres',
      host: '127.0.0.1',
      port: app.port,
      dbname: app.name,
      ...app.initial,
    };
    await vault.call('POST', `${mount}/data/shop/app`, { data: existing });
    const id = await stage.startRotation({ store, initialFrom: undefined });
    await killedAt('forward:generate:performed', id);
    const { newVersion } = await getRotation(stage.test.ledger, id);
    stage.client.healthyWith = (versionId) => versionId !== newVersion;
    await killedAt('forward:publish:performed', id);
    await killedAt('back:publish:performed', id);
    await stage.startWorker();
    const rotation = await stage.ended(id);
    const told = await stage.journal(id);
    expect(rotation.state, told).toBe('rolled-back');
    const { data } = await vault.call('GET', `${mount}/data/shop/app`);
    expect(data.data, told).toMatchObject({ username: app.initial.username, password: app.initial.password });
    expect(stage.client.refusals).toEqual([]);
  });
};

for (const { name, missing } of VAULTS)
  describe.skipIf(missing)(`versions in ${name}${missing ? ` (${missing})` : ''}`, promises(name));
