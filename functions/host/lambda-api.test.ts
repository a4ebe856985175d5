import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createFunctionHost, type FunctionHost } from '../serve.ts';
import { functionName } from './lambda-api.ts';

const SOURCE = `
export const handler = async (event, context) => {
  if (event.sleep) await new Promise((resolve) => setTimeout(resolve, event.sleep));
  if (event.exit) process.exit(event.exit);
  if (event.grow) for (const kept = []; ; ) kept.push(new Array(1e6).fill(String(Math.random())));
  if (event.fail) throw Object.assign(new TypeError('it went wrong'), { kind: event.fail });
  if (event.size) return 'x'.repeat(event.size);
  console.log('said to ' + event.name);
  const seen = JSON.stringify([process.argv, process.env]);
  return { pid: process.pid, event, seen: seen.includes(event.name), rotor: seen.includes('marker-of-rotor'),
    left: context.getRemainingTimeInMillis() <= 1500, id: context.awsRequestId };
};`;

let folder: string;
let host: FunctionHost;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-host-'));
  await writeFile(join(folder, 'mine.mjs'), SOURCE);
  await writeFile(join(folder, 'broken.mjs'), 'throw new RangeError("broken on loading")');
  await writeFile(
    join(folder, 'functions.yaml'),
    `functions:
  - { name: mine, handler: ./mine.mjs, timeout: 1500ms, memory: 64, concurrency: 1 }
  - { name: broken, handler: ./broken.mjs }
  - { name: other, handler: ./mine.mjs, export: nothing }
`,
  );
  const env = { ...process.env, ROTOR_DATABASE_URL: 'marker-of-rotor' };
  host = createFunctionHost(
    { functions: join(folder, 'functions.yaml') },
    { loopback: true, env, log: silentLog },
  );
});
afterAll(async () => {
  await host.close();
  await rm(folder, { recursive: true, force: true });
});

const send = (path: string, body: string, headers: Record<string, string> = {}) =>
  host.app.request(path, { method: 'POST', body, headers: { host: '127.0.0.1:9001', ...headers } });
const invoke = (event: unknown, headers?: Record<string, string>, name = 'mine') =>
  send(`/2015-03-31/functions/${name}/invocations`, JSON.stringify(event), headers);
const answerOf = async (event: unknown) => (await (await invoke(event)).json()) as Record<string, unknown>;

test('a function is invoked in a process of its own, which is kept warm, and the event is not to be seen from outside', async () => {
  const first = await invoke({ name: 'marker-name' }, { 'x-amz-log-type': 'Tail' });
  expect(first.status).toBe(200);
  expect(first.headers.get('x-amz-executed-version')).toBe('$LATEST');
  const body = (await first.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ event: { name: 'marker-name' }, seen: false, rotor: false, left: true });
  expect(body.id).toBe(first.headers.get('x-amzn-requestid'));
  expect(body.pid).not.toBe(process.pid);
  const log = Buffer.from(first.headers.get('x-amz-log-result') ?? '', 'base64').toString();
  expect(log).toBe('said to marker-name\n');
  expect((await answerOf({ name: 'again' })).pid).toBe(body.pid);
});

test.each([
  ['throws', { fail: 'terminal' }, 'TypeError', /^it went wrong$/],
  ['never ends', { sleep: 60_000 }, 'Sandbox.Timedout', /Task timed out after 1.50 seconds$/],
  ['ends its process', { exit: 3 }, 'Runtime.ExitError', /Runtime exited with error: exit status 3$/],
  ['takes more memory than it has', { grow: true }, 'Runtime.ExitError', /signal: SIG/],
  ['says too much', { size: 6_300_000 }, 'Function.ResponseSizeTooLarge', /maximum allowed payload size/],
])(
  'one that %s is an answer with X-Amz-Function-Error, and the next event is worked on',
  async (_name, event, errorType, words) => {
    const response = await invoke(event);
    expect(response.status).toBe(200);
    expect(response.headers.get('x-amz-function-error')).toBe('Unhandled');
    // No stack.
    expect(await response.json()).toEqual({ errorType, errorMessage: expect.stringMatching(words) });
    expect(await answerOf({ name: 'next' })).toMatchObject({ event: { name: 'next' } });
  },
);

test.each([
  ['broken', 'Runtime.ImportModuleError', 'broken on loading'],
  ['other', 'Runtime.HandlerNotFound', 'nothing'],
])('a function that can not be loaded says why (%s)', async (name, errorType, words) => {
  const response = await invoke({}, {}, name);
  expect(response.headers.get('x-amz-function-error')).toBe('Unhandled');
  expect(await response.json()).toEqual({ errorType, errorMessage: expect.stringContaining(words) });
});

test.each([
  ['nobody/invocations', '{}', {}, 404, 'ResourceNotFoundException'],
  ['mine/invocations?Qualifier=PROD', '{}', {}, 404, 'ResourceNotFoundException'],
  ['mine/invocations', '{', {}, 400, 'InvalidRequestContentException'],
  ['mine/invocations', '{}', { 'x-amz-invocation-type': 'Later' }, 400, 'InvalidParameterValueException'],
  ['mine/invocations', JSON.stringify('x'.repeat(6_300_000)), {}, 413, 'RequestTooLargeException'],
  [
    'mine/invocations',
    JSON.stringify('x'.repeat(1_100_000)),
    { 'x-amz-invocation-type': 'Event' },
    413,
    'RequestTooLargeException',
  ],
  ['mine/invocations', '{}', { origin: 'http://evil.example' }, 403, 'AccessDeniedException'],
  ['mine/invocations', '{}', { host: 'evil.example' }, 403, 'AccessDeniedException'],
  ['mine/configuration', '{}', {}, 404, 'UnknownOperationException'],
])('POST %s %#: refused as Lambda does', async (path, body, headers, status, type) => {
  const response = await send(`/2015-03-31/functions/${path}`, body, headers as Record<string, string>);
  expect(response.status).toBe(status);
  expect(response.headers.get('x-amzn-errortype')).toBe(type);
  expect(response.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
  expect(await response.json()).toMatchObject({ Type: 'User', Message: expect.any(String) });
});

test('when all its processes are busy a function is throttled, and an event that nobody waits for waits', async () => {
  const busy = invoke({ sleep: 600 });
  const refused = await expect
    .poll(() => invoke({}))
    .toMatchObject({ status: 429 })
    .then(() => invoke({}));
  expect(refused.headers.get('x-amzn-errortype')).toBe('TooManyRequestsException');
  expect((await invoke({}, { 'x-amz-invocation-type': 'Event' })).status).toBe(202);
  expect((await busy).headers.get('x-amz-function-error')).toBeNull();
});

test.each([
  ['mine', 'mine'],
  ['mine:PROD', 'mine'],
  ['123456789012:function:mine', 'mine'],
  ['arn:aws:lambda:eu-central-1:123456789012:function:mine:7', 'mine'],
])('%s names the function %s', (asked, name) => {
  expect(functionName(asked)).toBe(name);
});

test('who would listen for others without asking who they are is refused', () => {
  const listen = (options: object) =>
    createFunctionHost(options, { loopback: false, env: {}, log: silentLog });
  expect(() => listen({})).toThrow(expect.objectContaining({ code: 'config.invalid' }));
  expect(listen({ trustNetwork: true }).names).toContain('rotor-postgres');
});
