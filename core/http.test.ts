import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { httpRequest } from './http.ts';
import { Deadline } from './retry.ts';
import { SecretValue } from './secret.ts';

async function served(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const soon = () => Deadline.after(10_000);

test('any status is an answer, with its body', async () => {
  const url = await served((request, response) => {
    response.writeHead(request.method === 'POST' ? 503 : 200).end(request.headers['x-token']);
  });
  const headers = { 'x-token': SecretValue.of('t0ken') };
  expect(await httpRequest(soon(), { url, headers })).toMatchObject({ status: 200, body: 't0ken' });
  expect(await httpRequest(soon(), { url, method: 'POST', body: SecretValue.of('x') })).toMatchObject({
    status: 503,
  });
});

test('a redirect is returned and not followed', async () => {
  let asked = 0;
  const url = await served((_, response) => {
    asked += 1;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  expect(await httpRequest(soon(), { url })).toMatchObject({ status: 302 });
  expect(asked).toBe(1);
});

test('an endless answer is cut off at the limit', async () => {
  const url = await served((_, response) => {
    const pour = (): void => {
      while (response.write('hunter2 '.repeat(1000)));
      response.once('drain', pour);
    };
    response.on('error', () => undefined);
    pour();
  });
  const error = await httpRequest(soon(), { url, maxBytes: 10_000 }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'provider.connection-lost', kind: 'ambiguous' });
  expect(inspect(error)).not.toContain('hunter2');
});

test('a silent server ends with the deadline, as an unknown outcome', async () => {
  const url = await served(() => undefined);
  await expect(httpRequest(Deadline.after(50), { url })).rejects.toMatchObject({
    code: 'call.timeout',
    kind: 'ambiguous',
  });
});

test('a refused connection is retryable, a broken one is an unknown outcome', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await expect(httpRequest(soon(), { url: `http://127.0.0.1:${port}` })).rejects.toMatchObject({
    code: 'provider.unreachable',
    kind: 'retryable',
  });
  const url = await served((request) => request.socket.destroy());
  await expect(httpRequest(soon(), { url })).rejects.toMatchObject({
    code: 'provider.connection-lost',
    kind: 'ambiguous',
  });
});

test('a port that fetch refuses is a wrong setting, not an outage', async () => {
  await expect(httpRequest(soon(), { url: 'http://127.0.0.1:1' })).rejects.toMatchObject({
    code: 'config.invalid',
  });
});

test('errors name the host, never path, query, user, header or body', async () => {
  const request = {
    method: 'POST',
    headers: { 'x-key': SecretValue.of('hunter2') },
    body: SecretValue.of('hunter2'),
  };
  for (const url of [
    'http://127.0.0.1:1/hunter2?key=hunter2',
    'http://user:hunter2@127.0.0.1:1/',
    'hunter2://x',
    'hunter2',
  ]) {
    const error = await httpRequest(soon(), { ...request, url }).catch((thrown: Error) => thrown);
    expect(JSON.stringify(error)).not.toContain('hunter2');
    expect((error as Error).message).not.toContain('hunter2');
  }
});
