import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretIn } from './secret-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-secret-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('is what the file holds, without the line break that editors add', async () => {
  const file = join(folder, 'token');
  await writeFile(file, ' s3cret \n');
  expect((await secretIn(file, 'a test')).reveal()).toBe('s3cret');
});

test.each(['', ' \n'])(
  'refuses a file with nothing in it (%j), as an empty key lets everybody in',
  async (text) => {
    const file = join(folder, 'empty');
    await writeFile(file, text);
    await expect(secretIn(file, 'a test')).rejects.toMatchObject({
      code: 'reference.unresolved',
      message: expect.stringContaining(`a test: ${file} is empty`),
    });
  },
);

test('says whose file it is that is missing', async () => {
  const file = join(folder, 'missing');
  await expect(secretIn(file, 'a test')).rejects.toMatchObject({
    code: 'reference.unresolved',
    message: expect.stringContaining(`a test: ${file} can't be read (ENOENT)`),
  });
});
