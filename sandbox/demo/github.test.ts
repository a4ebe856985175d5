import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { githubPartner } from '../../orchestrator/intake/sources/github-partner.ts';
import { type GitHub, startGitHub } from './github.ts';

let github: GitHub;
let partner: Server;
let received: { headers: IncomingHttpHeaders; body: Buffer } | undefined;

beforeEach(async () => {
  github = await startGitHub();
  partner = createServer(async (request, response) => {
    received = { headers: request.headers, body: await buffer(request) };
    response.writeHead(202).end(JSON.stringify([{ label: 'true_positive' }]));
  });
  await new Promise<void>((listening) => partner.listen(0, '127.0.0.1', listening));
});
afterEach(async () => {
  await github.stop();
  partner.close();
});

test('its report is proven by the keys that it publishes, and says what was found', async () => {
  expect(await report('leaked')).toEqual({ status: 202, label: 'true_positive' });
  const request = asRequest();
  await githubPartner.verify(request, { keysUrl: github.keysUrl }, around());
  const message = githubPartner.read(request, { keysUrl: github.keysUrl });
  if (message.kind !== 'reports') return expect.unreachable();
  const [first] = message.reports;
  expect(first).toMatchObject({ severity: 'critical', exposure: 'public' });
  expect(first?.found.map((secret) => secret.reveal())).toContain('leaked');
});

test('another one’s keys don’t prove it', async () => {
  const other = await startGitHub();
  try {
    await report('leaked');
    const settings = { keysUrl: other.keysUrl };
    await expect(githubPartner.verify(asRequest(), settings, around())).rejects.toMatchObject({
      code: 'hook.unauthenticated',
    });
  } finally {
    await other.stop();
  }
});

function report(token: string) {
  return github.report(`http://127.0.0.1:${(partner.address() as AddressInfo).port}/`, token);
}

function asRequest() {
  const headers = Object.entries(received?.headers ?? {}).map(([name, value]) => [name, String(value)]);
  return { method: 'POST', headers: Object.fromEntries(headers), body: received?.body ?? Buffer.of() };
}

function around() {
  return {
    now: new Date(),
    fetchText: async (url: string) => (await fetch(url)).text(),
    secrets: async () => [],
  };
}
