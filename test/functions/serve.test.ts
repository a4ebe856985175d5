import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../setup/postgres-servers.ts';
import { ROTOR, run, startHost } from './host.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-serve-'));
  await writeFile(join(folder, 'echo.mjs'), 'export const handler = (event) => event;');
  await writeFile(join(folder, 'f.yaml'), 'functions: [{ name: echo, handler: ./echo.mjs }]');
  await writeFile(join(folder, 'bad.yaml'), 'functions: [{ name: echo, handler: ./nowhere.mjs }]');
  await writeFile(join(folder, 'short'), 'short\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['listening for everybody without asking who it is', ['--listen', '0.0.0.0:0'], 2, '--token-file'],
  ['a form without a function', ['--form', 'http'], 2, '--function'],
  ['a function that is not there', ['--function', 'nobody', '--form', 'http'], 2, 'nobody'],
  ['a token that can be guessed', ['--token-file', 'short'], 2, '16 characters'],
  ['a handler that is not there', ['--functions', 'bad.yaml'], 1, 'nowhere.mjs'],
])('%s ends before anything is listened to', async (_name, flags, code, words) => {
  const found = await run(process.execPath, [ROTOR, 'functions', 'serve', ...flags], { PORT: '' }, folder);
  expect(found.code).toBe(code);
  expect(found.stderr).toContain(words);
});

test('Azure finds it at the port that its host gives, Cloud Run at PORT', async () => {
  const [azure, other] = [await freePort(), await freePort()];
  const flags = ['--functions', join(folder, 'f.yaml'), '--function', 'echo'];
  const env = { FUNCTIONS_CUSTOMHANDLER_PORT: String(azure), PORT: String(other) };
  for (const [form, port] of [
    ['azure', azure],
    ['http', other],
  ] as const) {
    const host = await startHost([...flags, '--form', form, '--trust-network'], env, null);
    expect(new URL(host.url).port).toBe(String(port));
    const body = JSON.stringify(form === 'azure' ? { Data: { item: { n: 7 } } } : { n: 7 });
    const answer = await fetch(`http://127.0.0.1:${port}/whatever`, { method: 'POST', body });
    const value = (await answer.json()) as { ReturnValue?: object };
    expect(form === 'azure' ? value.ReturnValue : value).toEqual({ n: 7 });
    await host.stop();
  }
}, 180_000);

test('the host is asked whether it is alive without being let in', async () => {
  await writeFile(join(folder, 'token'), 'a-token-of-some-length\n');
  const host = await startHost(['--token-file', join(folder, 'token')], {});
  expect((await fetch(`${host.url}/healthz`)).status).toBe(200);
  const path = '/2015-03-31/functions/rotor-random/invocations';
  expect((await fetch(`${host.url}${path}`, { method: 'POST', body: '{}' })).status).toBe(403);
  await host.stop();
});
