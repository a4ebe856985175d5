import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { aRepository, aSealingKey, unsealed } from '../setup/sealed-secrets.ts';
import { aRotatedPolicy } from './drifting.ts';

test('what was sealed for a key that the controller has replaced is sealed again, though nothing is delivered', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-sealing-'));
  const repository = await aRepository();
  onTestFinished(() => repository.remove());
  const first = await aSealingKey(folder, 'first', '20260101000000Z');
  const second = await aSealingKey(folder, 'second', '20260301000000Z');
  const file = join(folder, 'cert.pem');
  await writeFile(file, await readFile(first.certificate));
  const git = { url: repository.url, branch: 'main' };
  const store = { kind: 'sealedSecrets', spec: { certificate: { file }, git }, path: 'shop/key' };
  const policy = await aRotatedPolicy(noClusters, [], { store });
  const sealed = async () => (await repository.file('shop/key.yaml')) ?? '';
  const before = await unsealed(await sealed(), first, 'shop/key');

  expect((await policy.look()).last).toEqual([]);
  await writeFile(file, await readFile(second.certificate));
  await policy.apply({ drift: 'report' });
  expect((await policy.look()).open).toMatchObject([{ target: 'store path shop/key', outcome: 'reported' }]);
  await policy.apply({ drift: 'repair' });
  const { last, open } = await policy.look();
  expect([last, open]).toMatchObject([[{ target: 'store path shop/key', outcome: 'repaired' }], []]);
  expect(await unsealed(await sealed(), second, 'shop/key')).toEqual(before);
});
