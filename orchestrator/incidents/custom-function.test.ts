/** Functions of the operator's as steps of runbooks: at a host of our own, and by AWS's own client. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { createFunctionHost, type FunctionHost } from '../../functions/serve.ts';
import { type RunbookStage, runbookStage } from '../../test/setup/runbooks.ts';
import { type Served, serveApi } from '../api/serve.ts';
import { describeIncident } from './describe.ts';
import { previewOf } from './dry-run.ts';
import { runbookSpec } from './runbook-schema.ts';
import { workRunbooks } from './work-runbooks.ts';

const FUNCTIONS: Readonly<Record<string, string>> = {
  firewall: `import { appendFileSync } from 'node:fs';
    export const handler = (event) => { appendFileSync(process.env.CALLS, JSON.stringify(event) + '\\n'); return { ok: true }; };`,
  moody: `import { appendFileSync, readFileSync } from 'node:fs';
    export const handler = (event) => {
      appendFileSync(process.env.CALLS, JSON.stringify(event) + '\\n');
      if (readFileSync(process.env.CALLS, 'utf8').trim().split('\\n').length < 3) throw new RangeError('pl4nted secret');
      return null;
    };`,
  refusing: `export const handler = () => ({ refused: 'the change freeze lasts\\u0007 until Monday' });`,
  slow: `export const handler = () => new Promise((resolve) => setTimeout(resolve, 60_000));`,
};

let stage: RunbookStage;
let folder: string;
let calls: string;
let host: FunctionHost;
let served: Served;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-custom-'));
  calls = join(folder, 'calls');
  for (const [name, source] of Object.entries(FUNCTIONS))
    await writeFile(join(folder, `${name}.mjs`), source);
  const listed = Object.keys(FUNCTIONS).map(
    (name) => `  - { name: ${name}, handler: ./${name}.mjs, environment: { CALLS: ${calls} } }`,
  );
  await writeFile(join(folder, 'functions.yaml'), `functions:\n${listed.join('\n')}\n`);
  await writeFile(join(folder, 'token'), 'a-token-of-some-length\n');
  await writeFile(join(folder, 'other'), 'another-token-of-that-length\n');
  await writeFile(
    join(folder, 'key.json'),
    JSON.stringify({ accessKeyId: 'AKIATEST', secretAccessKey: 'a-secret-of-the-test' }),
  );
  host = createFunctionHost(
    {
      functions: join(folder, 'functions.yaml'),
      tokenFile: join(folder, 'token'),
      accessKeyFile: join(folder, 'key.json'),
    },
    { loopback: true, env: process.env, log: silentLog },
  );
  served = await serveApi(host.app, { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await host.close();
  await served.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await writeFile(calls, '');
  stage = await runbookStage();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stage.stop();
});

const atHost = (name: string, more: object = {}) => ({
  custom: {
    function: { name, host: { url: served.url, tokenFrom: { file: join(folder, 'token') } }, ...more },
  },
});

/** One incident whose runbook has the step, looked at so often. @returns the step */
async function worked(step: object, looks = 1) {
  await stage.policy('orders', [step, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  for (let look = 0; look < looks; look += 1) {
    await stage.tryAgain();
    await workRunbooks(stage.orchestrator);
  }
  const view = await describeIncident(stage.orchestrator, incident);
  return { incident, step: view.targets[0]?.steps[0] };
}

const received = async () =>
  (await readFile(calls, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test('a function of a host is called once when it works, with an id and no secret', async () => {
  const { incident, step } = await worked(atHost('firewall'), 2);
  expect(step).toMatchObject({ kind: 'custom', state: 'done', tries: 1, result: { function: 'firewall' } });
  expect(await received()).toEqual([
    {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type: 'rotor.incident.custom',
      timestamp: expect.any(String),
      data: { incident, policy: 'shop/orders', moment: 'opened', step: 0 },
    },
  ]);
});

test("a function of AWS is called by AWS's own client, signed", async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-of-the-test');
  const aws = { endpoint: served.url };
  const name = 'arn:aws:lambda:eu-central-1:123456789012:function:firewall';
  const { step } = await worked({ custom: { function: { name, aws } } });
  expect(step).toMatchObject({ state: 'done', tries: 1, error: undefined });
  expect(await received()).toHaveLength(1);
});

test('a function that throws is called again under the same id, and its words are kept nowhere', async () => {
  const { step } = await worked(atHost('moody'));
  expect(step).toMatchObject({ state: 'waiting', error: expect.stringContaining('failed with RangeError') });
  expect(step?.error).not.toContain('pl4nted');
  for (let look = 0; look < 2; look += 1) {
    await stage.tryAgain();
    await workRunbooks(stage.orchestrator);
  }
  const events = await received();
  expect(events).toHaveLength(3);
  expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(1);
});

test.each([
  [
    'one that refuses, in its own words',
    () => atHost('refusing'),
    /^function refusing: the change freeze lasts {2}until Monday$/,
  ],
  [
    'one that is not there',
    () => atHost('nobody'),
    /^there is no function nobody \(127.+: ResourceNotFoundException\)$/,
  ],
  [
    'one of a host that wants another token',
    () => atHost('firewall', { host: { url: served.url, tokenFrom: { file: join(folder, 'other') } } }),
    /^function firewall may not be called: a function host asks for its token \(127.+: AccessDeniedException\)$/,
  ],
])('%s has failed, and holds nothing up', async (_what, step, words) => {
  const { step: ended } = await worked(step());
  expect(ended).toMatchObject({ state: 'failed', tries: 1, error: expect.stringMatching(words) });
});

test('AWS that does not let the key in refuses for good', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAOTHER');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-of-the-test');
  const name = 'firewall';
  const { step } = await worked({
    custom: { function: { name, aws: { endpoint: served.url, region: 'eu-west-1' } } },
  });
  expect(step).toMatchObject({ state: 'failed', error: expect.stringContaining('lambda:InvokeFunction') });
});

test('AWS that cannot be reached is asked again', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-of-the-test');
  const aws = { endpoint: 'http://127.0.0.1:1', region: 'eu-west-3' };
  const { step: away } = await worked({ custom: { function: { name: 'firewall', aws } } });
  expect(away).toMatchObject({
    state: 'waiting',
    error: 'provider.unreachable: function firewall: no connection to Lambda (ECONNREFUSED)',
  });
});

test('a function that gives no answer in time is called again', async () => {
  const { step: slow } = await worked(atHost('slow', { timeout: '300ms' }));
  expect(slow).toMatchObject({
    state: 'waiting',
    error: expect.stringMatching(/^call\.timeout: .*no answer in time/),
  });
});

test('a dry run says which function is called and where, and what is wrong is refused in words', () => {
  const risk = {
    severity: 'high',
    validity: 'unknown',
    exposure: 'unknown',
    environment: undefined,
  } as const;
  const lambda = { custom: { function: { name: 'firewall', aws: { region: 'eu-central-1' } } } };
  const runbook = runbookSpec.parse({ steps: [atHost('firewall'), lambda, { rotate: {} }] }).steps;
  const told = previewOf(runbook, risk, 'rotate').map(({ what }) => what);
  expect(told[0]).toMatch(/^function firewall is called at 127\.0\.0\.1:\d+$/);
  expect(told[1]).toBe('function firewall is called at AWS Lambda');
  const wrong = (custom: object) =>
    runbookSpec
      .safeParse({ steps: [{ custom }, { rotate: {} }] })
      .error?.issues.map(({ message }) => message)
      .join();
  const url = 'http://127.0.0.1:9001';
  expect(wrong({ function: { name: 'f', host: { url }, aws: {} } })).toContain(
    'needs `host` or `aws`, not both',
  );
  expect(
    wrong({ function: { name: 'arn:aws:lambda:eu-west-1:123456789012:function:f', host: { url } } }),
  ).toContain('needs the name that the function has at its host');
  expect(wrong({ function: { name: 'no such name' } })).toContain('needs a name or the ARN of a function');
  expect(wrong({})).toContain('needs exactly one of: http, function, vault');
});
