import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createFunctionHost, type FunctionHost } from '../serve.ts';

const SOURCE = `
export const handler = async (event) => {
  if (event.Step === 'fail') throw Object.assign(new Error('refused'), { name: 'some.code', kind: event.kind });
  console.log('one line');
  return event;
};`;
const EVENT = { Step: 'createSecret', SecretId: 'db' };

let folder: string;
let host: FunctionHost;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-forms-'));
  await writeFile(join(folder, 'echo.mjs'), SOURCE);
  await writeFile(join(folder, 'f.yaml'), 'functions: [{ name: echo, handler: ./echo.mjs }]');
  await writeFile(join(folder, 'token'), 'a-token-of-some-length\n');
  host = createFunctionHost(
    {
      functions: join(folder, 'f.yaml'),
      tokenFile: join(folder, 'token'),
      function: 'echo',
      form: 'cloudevents',
    },
    { loopback: false, env: process.env, log: silentLog },
  );
});
afterAll(async () => {
  await host.close();
  await rm(folder, { recursive: true, force: true });
});

const send = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  host.app.request(path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { authorization: 'Bearer a-token-of-some-length', ...headers },
  });
const ATTRIBUTES = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/test', 'ce-type': 'rotate' };
const STRUCTURED = { specversion: '1.0', id: '1', source: '/test', type: 'rotate' };
const AS_CLOUD_EVENT = { 'content-type': 'application/cloudevents+json; charset=utf-8' };

test('a plain POST is the event, its answer what the function returned', async () => {
  const response = await send('/http/echo', EVENT);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual(EVENT);
});

test.each([
  ['binary', EVENT, ATTRIBUTES],
  ['structured', { ...STRUCTURED, data: EVENT }, AS_CLOUD_EVENT],
  ['structured, data as text', { ...STRUCTURED, data: JSON.stringify(EVENT) }, AS_CLOUD_EVENT],
  [
    'structured, data in base64',
    { ...STRUCTURED, data_base64: Buffer.from(JSON.stringify(EVENT)).toString('base64') },
    AS_CLOUD_EVENT,
  ],
])(
  'a CloudEvent (%s) is taken at every path, and answered without another event',
  async (_name, body, headers) => {
    for (const path of ['/', '/cloudevents/echo']) {
      const response = await send(path, body, headers);
      expect([response.status, await response.text()]).toEqual([204, '']);
    }
  },
);

test.each([
  ['terminal', 422],
  ['retryable', 503],
  ['ambiguous', 503],
  [undefined, 503],
])('a failure that is %s is answered %i, by which the platform repeats it or not', async (kind, status) => {
  for (const path of ['/http/echo', '/cloudevents/echo']) {
    const response = await send(path, { Step: 'fail', kind }, ATTRIBUTES);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ errorType: 'some.code', errorMessage: 'refused' });
  }
});

test.each([
  ['/http/echo', '{', {}],
  ['/cloudevents/echo', EVENT, {}],
  ['/cloudevents/echo', EVENT, { ...ATTRIBUTES, 'ce-specversion': '0.3' }],
  ['/cloudevents/echo', { ...STRUCTURED, id: 7 }, AS_CLOUD_EVENT],
])('%s refuses what is no event for it (%#)', async (path, body, headers) => {
  const response = await send(path, body, headers as Record<string, string>);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ errorType: 'function.invalid-event' });
});

test.each([
  ['a queue', { Data: { item: JSON.stringify(EVENT) }, Metadata: { DequeueCount: 1 } }],
  ['a queue, quoted twice', { Data: { item: JSON.stringify(JSON.stringify(EVENT)) } }],
  ['an object', { Data: { other: 'x', item: EVENT } }],
])('Azure: the event of %s is found, and answered in the form of custom handlers', async (_name, body) => {
  const response = await send('/azure/echo', body);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ Outputs: {}, Logs: ['one line'], ReturnValue: EVENT });
});

test('Azure: the caller of an HTTP trigger gets the answer, any other failure counts as one of the invocation', async () => {
  const request = (Body: object) => ({
    Data: { req: { Url: 'http://x/', Method: 'POST', Headers: {}, Body: JSON.stringify(Body) } },
    Metadata: {},
  });
  const done = (await (await send('/azure/echo', request(EVENT))).json()) as { Outputs: { res: object } };
  expect(done.Outputs.res).toMatchObject({ statusCode: 200, body: JSON.stringify(EVENT) });
  const wrong = await send('/azure/echo', request({ Step: 'fail', kind: 'terminal' }));
  expect(wrong.status).toBe(200);
  expect(await wrong.json()).toMatchObject({ Outputs: { res: { statusCode: 422 } } });
  const failed = await send('/azure/echo', { Data: { item: { Step: 'fail' } } });
  expect(failed.status).toBe(500);
});

test('without the token nothing is run, in whatever form', async () => {
  for (const path of ['/', '/http/echo', '/azure/echo', '/2015-03-31/functions/echo/invocations'])
    expect((await send(path, EVENT, { authorization: 'Bearer another-token-of-it' })).status).toBe(403);
});
