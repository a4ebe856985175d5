import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningRotor, startRotor } from '../setup/rotor-process.ts';

const root = join(import.meta.dirname, '../..');
const PREFIX = 'npm run -s rotor -- ';
/** Where the example delivers to. */
const EXAMPLE = '/tmp/session-key.json';

let folder = '';
let rotor: RunningRotor;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-readme-'));
  rotor = await startRotor(join(folder, 'home'));
});
afterAll(async () => {
  await rotor?.stop();
  await rm(EXAMPLE, { force: true });
  await rm(folder, { recursive: true, force: true });
});

test("the README's first rotation goes as it is written there, command by command", {
  timeout: 120_000,
}, async () => {
  const page = await readFile(join(root, 'README.md'), 'utf8');
  const section = page.slice(page.indexOf('## Use it for real'), page.indexOf('## What it rotates today'));
  const commands = section.split('\n').filter((line) => line.startsWith(PREFIX));
  expect(commands[0]).toBe(`${PREFIX}up`);
  const outputs: string[] = [];
  for (const command of commands.slice(1)) {
    const args = [...command.slice(PREFIX.length).matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, bare]) => quoted ?? bare ?? '',
    );
    const { code, stdout, stderr } = await rotor.run(args);
    expect(code, `${command}\n${stdout}\n${stderr}`).toBe(0);
    outputs.push(stdout + stderr);
  }
  expect(outputs.length).toBeGreaterThan(5);
  expect(outputs.at(-1)).toMatch(/verified: \d+ rows/);
  const { value } = JSON.parse(await readFile(EXAMPLE, 'utf8'));
  expect(value).toHaveLength(48);
  expect(outputs.join('')).not.toContain(value);
});
