import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { aRotatedPolicy } from './drifting.ts';

async function aFile() {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-drifting-file-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'key');
  const spec = { path, format: 'raw', field: 'value' };
  return { path, policy: await aRotatedPolicy(noClusters, [{ kind: 'file', spec }]) };
}

test('a file that was edited, and one that was deleted, is written again', async () => {
  const { path, policy } = await aFile();
  const delivered = await readFile(path, 'utf8');
  for (const disturb of [() => writeFile(path, 'by hand'), () => rm(path)]) {
    await disturb();
    const { last, open } = await policy.look();
    expect([last, open]).toEqual([
      [{ target: `file ${path}`, what: 'it is not what was delivered', outcome: 'repaired' }],
      [],
    ]);
    expect(await readFile(path, 'utf8')).toBe(delivered);
  }
});

test('what can’t be looked at is said, and neither counted nor audited as drift', async () => {
  const { policy } = await aFile();
  await policy.test.ledger.query("UPDATE rotor.credential_versions SET state = 'previous'");
  const { open } = await policy.look();
  expect(open).toMatchObject([{ outcome: 'unknown', what: expect.stringContaining('is not the one') }]);
  expect(await policy.audit()).toEqual([]);
});
