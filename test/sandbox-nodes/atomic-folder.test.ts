import { lstat, mkdtemp, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { replaceFiles } from '../../sandbox/kubelet/atomic-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-volume-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const files = (entries: Record<string, string>, mode = 0o640) =>
  new Map(Object.entries(entries).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));
const shown = async () => (await readdir(folder)).filter((name) => !name.startsWith('..')).sort();

it('shows files through a link that is exchanged, with their modes', async () => {
  await replaceFiles(folder, files({ a: '1', 'deep/b': '2' }));
  expect(await shown()).toEqual(['a', 'deep']);
  expect((await lstat(join(folder, 'a'))).isSymbolicLink()).toBe(true);
  expect(await readFile(join(folder, 'deep/b'), 'utf8')).toBe('2');
  expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o640);
});

it('leaves nothing of the old files behind, and touches nothing when nothing changed', async () => {
  expect(await replaceFiles(folder, files({ a: '1', b: '1' }))).toBe(true);
  expect(await replaceFiles(folder, files({ b: '2', c: '2' }))).toBe(true);
  expect(await shown()).toEqual(['b', 'c']);
  expect(await readdir(folder)).toHaveLength(4);
  const before = await readdir(folder);
  expect(await replaceFiles(folder, files({ b: '2', c: '2' }))).toBe(false);
  expect(await readdir(folder)).toEqual(before);
});

it('never shows files of two versions together', async () => {
  await replaceFiles(folder, files({ user: '0', password: '0' }));
  let writing = true;
  const writer = (async () => {
    for (let version = 1; version <= 100; version += 1)
      await replaceFiles(folder, files({ user: `${version}`, password: `${version}` }));
    writing = false;
  })();
  let reads = 0;
  while (writing) {
    // A careful reader resolves the link once and reads both files behind it.
    const real = await realpath(join(folder, '..data'));
    const pair = await Promise.all(
      ['user', 'password'].map((name) => readFile(join(real, name), 'utf8')),
    ).catch(() => undefined);
    if (pair) {
      expect(pair[0]).toBe(pair[1]);
      reads += 1;
    }
  }
  await writer;
  expect(reads).toBeGreaterThan(0);
});
