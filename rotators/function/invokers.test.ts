import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventOfCloudEvent } from '../../functions/http/cloud-event.ts';
import { aCall } from '../../test/setup/call.ts';
import { httpInvoker } from './http.ts';
import { lambdaInvoker } from './lambda.ts';
import type { Lent } from './secret-desk.ts';

const EVENT = { Step: 'setSecret', SecretId: 'arn:secret', ClientRequestToken: 'token' };
const FAILED = { errorType: 'ValueError', errorMessage: 'no login' };

/** Answers as it was told to, and keeps what came. */
let server: Server;
let url: string;
let answer: { status: number; headers?: Record<string, string>; body?: object };
let seen: { path: string; headers: IncomingHttpHeaders; body: string };
beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'emulated',
  });
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen = {
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.body ? JSON.stringify(answer.body) : undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('over HTTP', () => {
  const invoke = (form: 'json' | 'cloudevents' = 'json', lent?: Lent) =>
    httpInvoker({ url: `${url}/rotate`, form }).invoke(aCall(), EVENT, lent);

  test('the event is the body', async () => {
    answer = { status: 204 };
    expect(await invoke()).toEqual({ ok: true });
    expect(seen.path).toBe('/rotate');
    expect(JSON.parse(seen.body)).toEqual(EVENT);
  });

  test('a CloudEvent is one as our own function host takes it', async () => {
    answer = { status: 200 };
    await invoke('cloudevents');
    const header = (name: string) => seen.headers[name] as string | undefined;
    expect(JSON.parse(eventOfCloudEvent(header, seen.body))).toEqual(EVENT);
    expect(header('ce-type')).toBe('dev.rotor.rotation.setSecret');
  });

  test.each(['json', 'cloudevents'] as const)(
    'the address of the API is in a header (%s), for several workers have one each; none for one that works on AWS',
    async (form) => {
      answer = { status: 204 };
      await invoke(form, { endpoint: 'http://10.1.2.3:8422' } as Lent);
      expect(seen.headers['rotor-secrets-manager-endpoint']).toBe('http://10.1.2.3:8422');
      await invoke(form);
      expect(seen.headers['rotor-secrets-manager-endpoint']).toBeUndefined();
    },
  );

  test.each([400, 422, 500])('status %i is the function that says no', async (status) => {
    answer = { status, body: FAILED };
    expect(await invoke()).toEqual({ ok: false, ...FAILED });
  });

  test('an error of Lambda in an answer 200 is the function that says no', async () => {
    answer = { status: 200, body: FAILED };
    expect(await invoke()).toEqual({ ok: false, ...FAILED });
    answer = { status: 200, headers: { 'x-amz-function-error': 'Unhandled' } };
    expect(await invoke()).toMatchObject({ ok: false });
    answer = { status: 200, body: { ...FAILED, errorType: 'Sandbox.Timedout' } };
    await expect(invoke()).rejects.toMatchObject({ code: 'function.failed', kind: 'ambiguous' });
  });

  test.each([
    [429, 'provider.throttled', 'retryable'],
    [401, 'provider.permission-denied', 'terminal'],
    [403, 'provider.permission-denied', 'terminal'],
    [404, 'provider.unsupported', 'terminal'],
    [307, 'provider.unsupported', 'terminal'],
    [502, 'provider.connection-lost', 'ambiguous'],
    [503, 'provider.connection-lost', 'ambiguous'],
    [504, 'provider.connection-lost', 'ambiguous'],
  ] as const)('status %i is not the function that answers: %s', async (status, code, kind) => {
    answer = { status, body: FAILED, headers: { 'retry-after': '7', location: url } };
    await expect(invoke()).rejects.toMatchObject({ code, kind });
  });

  test('a function that is throttled is waited for as long as it asks', async () => {
    answer = { status: 429, headers: { 'retry-after': '7' } };
    await expect(invoke()).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });
});

describe("by Lambda's Invoke API", () => {
  const ARN = 'arn:aws:lambda:eu-central-1:123456789012:function:rotate';
  const invoke = () => lambdaInvoker({ name: ARN, endpoint: url }).invoke(aCall(), EVENT, undefined);

  test('it is invoked by its ARN, in its region, and waited for', async () => {
    answer = { status: 200, body: {} };
    expect(await invoke()).toEqual({ ok: true });
    expect(decodeURIComponent(seen.path)).toBe(`/2015-03-31/functions/${ARN}/invocations`);
    expect(seen.headers.authorization).toContain('/eu-central-1/lambda/aws4_request');
    expect(seen.headers['x-amz-invocation-type']).toBe('RequestResponse');
    expect(JSON.parse(seen.body)).toEqual(EVENT);
  });

  test('what the handler raised is the function that says no', async () => {
    answer = { status: 200, headers: { 'x-amz-function-error': 'Unhandled' }, body: FAILED };
    expect(await invoke()).toEqual({ ok: false, ...FAILED });
  });

  test('when Lambda ends it is read from its configuration', async () => {
    answer = { status: 200, body: { Timeout: 45 } };
    const { limitMs } = lambdaInvoker({ name: ARN, endpoint: url });
    expect(await limitMs?.(aCall())).toBe(45_000);
    expect(decodeURIComponent(seen.path)).toBe(`/2015-03-31/functions/${ARN}/configuration`);
    answer = { status: 403, headers: { 'x-amzn-errortype': 'AccessDeniedException' }, body: {} };
    await expect(limitMs?.(aCall())).rejects.toThrow(/lambda:GetFunctionConfiguration/);
  });

  test.each([
    'Sandbox.Timedout',
    'Runtime.ExitError',
    'Runtime.OutOfMemory',
    'Function.ResponseSizeTooLarge',
  ])('%s is no answer of the function', async (errorType) => {
    answer = {
      status: 200,
      headers: { 'x-amz-function-error': 'Unhandled' },
      body: { errorType, errorMessage: 'RequestId: 1 Error: it ended' },
    };
    await expect(invoke()).rejects.toMatchObject({ code: 'function.failed', kind: 'ambiguous' });
  });

  test.each([
    [429, 'TooManyRequestsException', 'provider.throttled', 'retryable', /throttles/],
    [403, 'AccessDeniedException', 'provider.permission-denied', 'terminal', /lambda:InvokeFunction/],
    [404, 'ResourceNotFoundException', 'provider.unsupported', 'terminal', /no such function/],
    [409, 'ResourceConflictException', 'provider.unreachable', 'retryable', /not ready/],
    [502, 'KMSDisabledException', 'provider.permission-denied', 'terminal', /key/],
    [403, 'UnrecognizedClientException', 'provider.refused-admin', 'terminal', /who calls/],
    [400, 'InvalidRequestContentException', 'provider.unsupported', 'terminal', /refuses/],
    [500, 'ServiceException', 'provider.connection-lost', 'ambiguous', /no usable answer/],
  ] as const)('%i %s is %s', async (status, name, code, kind, words) => {
    answer = {
      status,
      headers: { 'x-amzn-errortype': name },
      body: { Type: 'User', message: 'so it is' },
    };
    await expect(invoke()).rejects.toMatchObject({ code, kind, message: expect.stringMatching(words) });
  });

  test('nobody at the address is told as such', async () => {
    const nobody = lambdaInvoker({ name: ARN, endpoint: 'http://127.0.0.1:1' });
    await expect(nobody.invoke(aCall(), EVENT, undefined)).rejects.toMatchObject({
      code: 'provider.unreachable',
      kind: 'retryable',
    });
  });
});
