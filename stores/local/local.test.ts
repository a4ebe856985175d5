import { execFileSync } from 'node:child_process';
import { link, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { Keyring, newKey } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { discarded, promoted, pruned, withPending } from '../stages.ts';
import { commit, readNewest } from './index-files.ts';
import type { Versions } from './index-format.ts';
import { folderOf } from './names.ts';
import { rewrapLocalStore } from './rewrap.ts';
import { localStore } from './store.ts';

const call = (): Call => ({
  deadline: Deadline.after(10_000),
  fence: 1n,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
});
const document = SecretValue.of('{"password":"hunter2"}');

async function home(options: object = {}, keyring = Keyring.generate()) {
  const folder = join(await mkdtemp(join(tmpdir(), 'rotor-local-')), 'store');
  const store = localStore(keyring);
  const open = (other = keyring) => localStore(other).open(store.spec.parse({ path: folder, ...options }));
  return { folder, at: join(folder, 'shop~app'), keyring, open, store: open() };
}
const filesOf = async (folder: string, ending: string) =>
  (await readdir(folder)).filter((name) => name.endsWith(ending));

test('stages stay unique and the current version is never lost, whatever is asked in whatever order', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ do: fc.constant('stage'), id }),
    fc.record({ do: fc.constant('promote'), id }),
    fc.record({ do: fc.constant('discard'), id }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(3), (steps, keep) => {
      let versions: Versions = [];
      const current = () => versions.find(({ stages }) => stages.includes('current'))?.versionId;
      for (const { do: what, id } of steps) {
        const before = current();
        try {
          if (what === 'stage')
            versions = withPending(versions, { versionId: id, file: id, createdAt: '', stages: [] });
          if (what === 'promote') versions = promoted(versions, 'p', id, before);
          if (what === 'discard') versions = discarded(versions, 'p', id);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^store\.(conflict|not-found)$/) });
        }
        versions = pruned(versions, keep);
        const stages = versions.flatMap((version) => version.stages);
        expect(new Set(stages).size).toBe(stages.length);
        expect(versions.filter((version) => version.stages.length === 0).length).toBeLessThanOrEqual(keep);
        expect(new Set(versions.map(({ versionId }) => versionId)).size).toBe(versions.length);
        if (before !== undefined) expect(current()).toBeDefined();
      }
    }),
  );
});

test('no store path leaves the folder of the store, and no two share a folder', () => {
  for (const path of [
    '',
    '.',
    '..',
    '../x',
    'a/../b',
    '/a',
    'a/',
    'a//b',
    'a~b',
    '...',
    'a b',
    'a\0',
    'ä',
    'x'.repeat(201),
  ]) {
    expect(() => folderOf('/s', path), path).toThrow(expect.objectContaining({ code: 'manifest.invalid' }));
  }
  expect(folderOf('/s', 'shop/app.v2_x-1')).toBe('/s/shop~app.v2_x-1');
  expect(folderOf('/s', '-a/.b')).toBe('/s/-a~.b');
});

test('a session that is closed in the middle of a write ends it well, and begins nothing more', async () => {
  const { open } = await home();
  const session = open();
  const staging = session.stage(call(), 'shop/app', 'a', document);
  await session.close();
  await staging;
  await expect(session.promote(call(), 'shop/app', 'a', undefined)).rejects.toMatchObject({
    code: 'store.unavailable',
    kind: 'retryable',
  });
  expect((await open().read(call(), 'shop/app', 'pending'))?.versionId).toBe('a');
});

test('versions without a stage are kept as many as the spec says, and older files are destroyed', async () => {
  const { at, store } = await home({ keepVersions: 2 });
  for (const id of ['a', 'b', 'c', 'd', 'e']) await store.stage(call(), 'shop/app', id, document);
  expect((await store.list(call(), 'shop/app')).map(({ versionId }) => versionId)).toEqual(['e', 'd', 'c']);
  expect(await filesOf(at, '.sealed')).toHaveLength(3);
  await store.discard(call(), 'shop/app', 'd');
  expect(await filesOf(at, '.sealed')).toHaveLength(2);
});

test('files are 0600 and folders 0700', async () => {
  const { folder, at, store } = await home();
  await store.stage(call(), 'shop/app', 'a', document);
  for (const name of await readdir(at)) expect((await stat(join(at, name))).mode & 0o777, name).toBe(0o600);
  for (const path of [folder, at]) expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test('a worker that slept until its generation was cleaned up does not believe that it wrote', async () => {
  const { at, store, keyring } = await home({ keepVersions: 0 });
  await store.stage(call(), 'shop/app', 'first', document);
  const macKey = keyring.derive('local-store-index');
  const stale = await readNewest(at, 'shop/app', macKey);
  for (let n = 0; n < 12; n += 1) await store.stage(call(), 'shop/app', `later-${n}`, document);
  const next = { ...stale, generation: stale.generation + 1, versions: [] };
  expect(await commit(call(), at, next, macKey)).toBe(false);
  expect((await store.list(call(), 'shop/app')).map(({ versionId }) => versionId)).toEqual(['later-11']);
});

test('an index that somebody changed, exchanged or rolled forward is refused', async () => {
  const { at, store } = await home();
  await store.stage(call(), 'shop/app', 'a', document);
  await store.stage(call(), 'other', 'a', document);
  const index = join(at, 'index.000001.json');
  const content = await readFile(index, 'utf8');
  const sealed = expect.objectContaining({ code: 'store.sealed' });
  await writeFile(index, content.replace('"pending"', '"current"'));
  await expect(store.read(call(), 'shop/app', 'current')).rejects.toEqual(sealed);
  await writeFile(index, content);
  await link(index, join(at, 'index.000009.json'));
  await expect(store.list(call(), 'shop/app')).rejects.toEqual(sealed);
  await rm(join(at, 'index.000009.json'));
  await rename(join(at, '..', 'other', 'index.000001.json'), index);
  await expect(store.list(call(), 'shop/app')).rejects.toEqual(sealed);
});

test('without the right key file nothing opens, and the error says which key is missing', async () => {
  const stable = newKey();
  const right = Keyring.of([newKey()], Buffer.from(stable));
  const { store, open } = await home({}, right);
  await store.stage(call(), 'shop/app', 'a', document);
  const other = open(Keyring.of([newKey()], Buffer.from(stable)));
  await expect(other.read(call(), 'shop/app', 'pending')).rejects.toMatchObject({
    code: 'store.sealed',
    message: expect.stringContaining(right.activeKeyId),
  });
});

test('after rewrapping, the old key can leave the key file', async () => {
  const [oldKey, nextKey, stable] = [newKey(), newKey(), newKey()];
  const copy = (...keys: Buffer[]) =>
    Keyring.of(keys.map((key) => Buffer.from(key)) as [Buffer], Buffer.from(stable));
  const { folder, store, open } = await home({}, copy(oldKey));
  for (const path of ['shop/app', 'shop', 'mail']) await store.stage(call(), path, 'a', document);
  const both = copy(nextKey, oldKey);
  expect(await rewrapLocalStore(call(), { path: folder }, both)).toEqual({ rewrapped: 3, unchanged: 0 });
  expect(await rewrapLocalStore(call(), { path: folder }, both)).toEqual({ rewrapped: 0, unchanged: 3 });
  const after = open(copy(nextKey));
  for (const path of ['shop/app', 'shop', 'mail']) {
    expect((await after.read(call(), path, 'pending'))?.document.equals(document)).toBe(true);
  }
});

test('a sealed file that is gone is reported as damage, with its name', async () => {
  const { at, store } = await home();
  await store.stage(call(), 'shop/app', 'a', document);
  const [file = ''] = await filesOf(at, '.sealed');
  await rm(join(at, file));
  await expect(store.read(call(), 'shop/app', 'pending')).rejects.toMatchObject({
    code: 'store.unavailable',
    kind: 'terminal',
    message: expect.stringContaining(file),
  });
});

test('a store below a file is unavailable, and says where', async () => {
  const { folder, store } = await home();
  await writeFile(folder, '');
  for (const attempt of [() => store.stage(call(), 'a', 'a', document), () => store.list(call(), 'a')]) {
    await expect(attempt()).rejects.toMatchObject({
      code: 'store.unavailable',
      message: expect.stringContaining(folder),
    });
  }
});

test.runIf(process.getuid?.() === 0 && process.platform === 'linux')(
  'a full disk is store.full, and what was stored still reads',
  async ({ skip }) => {
    const folder = await mkdtemp(join(tmpdir(), 'rotor-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      skip('this container may not mount a small file system');
    }
    try {
      const store = localStore(Keyring.generate());
      const session = store.open(store.spec.parse({ path: folder }));
      await session.stage(call(), 'a', 'a', document);
      const huge = SecretValue.of('x'.repeat(100_000));
      await expect(session.stage(call(), 'a', 'b', huge)).rejects.toMatchObject({ code: 'store.full' });
      expect((await session.read(call(), 'a', 'pending'))?.document.equals(document)).toBe(true);
      expect(await readdir(join(folder, 'a'))).toHaveLength(2);
    } finally {
      execFileSync('umount', [folder]);
    }
  },
);
