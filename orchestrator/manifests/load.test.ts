import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { Store } from '../../stores/store.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { loadManifests } from './load.ts';

const unopened: Store['open'] = () => {
  throw new Error('loading must not open anything');
};
const registries: Registries = {
  rotators: [],
  stores: [{ kind: 'local', spec: z.strictObject({ path: z.string() }), open: unopened }],
  deliveries: [],
  rollouts: [],
};
const store = (name: string) =>
  `apiVersion: rotor.dev/v1alpha1\nkind: Store\nmetadata: {name: ${name}}\nspec: {local: {path: /s}}\n`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-manifests-'));
  await mkdir(join(folder, 'set', 'deep', '.hidden'), { recursive: true });
  await writeFile(join(folder, 'set', 'b.yaml'), store('b'));
  await writeFile(join(folder, 'set', 'README.md'), 'not a manifest');
  await writeFile(join(folder, 'set', 'deep', 'c.yml'), `${store('c')}---\n${store('d')}`);
  await writeFile(join(folder, 'set', 'deep', '.hidden', 'x.yaml'), 'not: looked at');
  await writeFile(join(folder, 'broken.yaml'), store('Broken'));
  await writeFile(join(folder, 'empty.yaml'), '# nothing yet\n');
});
afterAll(() => rm(folder, { recursive: true }));

test('a directory is read with its subdirectories, in order, without hidden and other files', async () => {
  const names = (await loadManifests([join(folder, 'set')], registries)).map(({ name }) => name);
  expect(names).toEqual(['b', 'c', 'd']);
});

test('"-" is standard input', async () => {
  const [manifest] = await loadManifests(['-'], registries, { stdin: Readable.from([store('piped')]) });
  expect(manifest).toMatchObject({ name: 'piped', source: { file: '(standard input)', line: 1 } });
});

test('problems of all files come together, duplicates between files among them', async () => {
  const again = Readable.from([store('b')]);
  const loading = loadManifests([join(folder, 'set'), join(folder, 'broken.yaml'), '-'], registries, {
    stdin: again,
  });
  await expect(loading).rejects.toMatchObject({
    code: 'manifest.invalid',
    problems: [
      { file: join(folder, 'broken.yaml'), line: 3, column: 18, field: 'metadata.name' },
      {
        file: '(standard input)',
        message: `Store default/b is written already at ${join(folder, 'set', 'b.yaml')}:1`,
      },
    ],
  });
});

test('a set without any manifest is a mistake', async () => {
  await expect(loadManifests([join(folder, 'empty.yaml')], registries)).rejects.toThrow(
    'there is no manifest in it',
  );
});

test('a path that is not there is named', async () => {
  await expect(loadManifests([join(folder, 'nowhere.yaml')], registries)).rejects.toMatchObject({
    code: 'reference.unresolved',
    message: `${join(folder, 'nowhere.yaml')} can't be read (ENOENT)`,
  });
});
