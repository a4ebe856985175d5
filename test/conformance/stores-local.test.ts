import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { localStore } from '../../stores/local/store.ts';
import { callWith } from './stores-calls.ts';

const child = join(import.meta.dirname, 'stores-local-child.ts');
const path = 'shop/app';

async function home() {
  const base = await mkdtemp(join(tmpdir(), 'rotor-crash-'));
  const [folder, keyFile] = [join(base, 'store'), join(base, 'key')];
  await createKeyFile(keyFile);
  const store = localStore(await loadKeyring(keyFile));
  const session = store.open(store.spec.parse({ path: folder, keepVersions: 2 }));
  const start = (what: string): ChildProcess => {
    const process_ = spawn(process.execPath, [child, folder, keyFile, what], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => {
      process_.kill('SIGKILL');
    });
    return process_;
  };
  return { folder, session, start };
}

test('a worker killed at any moment leaves a store that reads, with the last promise kept', {
  timeout: 120_000,
}, async () => {
  const { folder, session, start } = await home();
  const seen = { killed: 0, betweenBeginAndDone: 0 };
  for (let round = 0; round < 16; round += 1) {
    const worker = start('loop');
    const output = text(worker.stdout as NonNullable<typeof worker.stdout>);
    await once(worker.stdout as NonNullable<typeof worker.stdout>, 'data');
    // Any moment will do; the odd step makes the rounds hit different places of the loop.
    await new Promise((resolve) => setTimeout(resolve, round * 1.7));
    worker.kill('SIGKILL');
    await once(worker, 'close');
    seen.killed += 1;

    const lines = (await output).trim().split('\n');
    const done = lines.filter((line) => line.startsWith('done ')).map((line) => line.slice(5));
    const [word, begun] = (lines.at(-1) as string).split(' ');
    if (word === 'begin') seen.betweenBeginAndDone += 1;
    const versions = await session.list(callWith(0n), path);
    for (const stage of ['pending', 'current', 'previous'] as const) {
      expect(versions.filter(({ stages }) => stages.includes(stage)).length, stage).toBeLessThanOrEqual(1);
    }
    for (const { versionId } of versions) {
      const found = await session.read(callWith(0n), path, { versionId });
      expect(found?.document.reveal()).toBe(`document of ${versionId}`);
    }
    const current = (await session.read(callWith(0n), path, 'current'))?.versionId;
    if (done.length > 0) expect([done.at(-1), begun]).toContain(current);
  }
  expect(seen.killed).toBe(16);
  expect(seen.betweenBeginAndDone).toBeGreaterThan(0);
  // The next worker carries on where the killed ones stopped, and indexes don't pile up.
  const current = (await session.read(callWith(0n), path, 'current'))?.versionId;
  await session.stage(callWith(2n), path, 'last', SecretValue.of('document of last'));
  await session.promote(callWith(2n), path, 'last', current);
  expect((await session.read(callWith(0n), path, 'current'))?.versionId).toBe('last');
  const indexes = (await readdir(join(folder, 'shop~app'))).filter((name) => /^index\.\d+\.json$/.test(name));
  expect(indexes.length).toBeLessThanOrEqual(4);
});

test('of several processes that promote at once exactly one wins', { timeout: 120_000 }, async () => {
  const { session, start } = await home();
  const rivals = ['a', 'b', 'c'];
  const stage = (versionId: string) =>
    session.stage(callWith(1n), path, versionId, SecretValue.of(`document of ${versionId}`));
  await stage('start');
  await session.promote(callWith(1n), path, 'start', undefined);
  for (const versionId of rivals) await stage(versionId);
  const workers = rivals.map(start);
  const outputs = workers.map((worker) => text(worker.stdout as NonNullable<typeof worker.stdout>));
  await Promise.all(
    workers.map((worker) => once(worker.stdout as NonNullable<typeof worker.stdout>, 'data')),
  );
  for (const worker of workers) worker.stdin?.write('go\n');
  const outcomes = (await Promise.all(outputs)).map((output) => output.trim().split('\n').at(-1));
  expect([...outcomes].sort()).toEqual(['store.conflict', 'store.conflict', 'won']);
  const current = (await session.read(callWith(0n), path, 'current'))?.versionId;
  expect(current).toBe(rivals[outcomes.indexOf('won')]);
});
