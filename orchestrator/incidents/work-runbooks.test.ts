import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { endTarget } from '../../ledger/incident-targets.ts';
import { getRotation, listRotations } from '../../ledger/rotations.ts';
import { type RunbookStage, runbookStage } from '../../test/setup/runbooks.ts';
import { standardWebhooks } from '../intake/sources/standard-webhooks.ts';
import { rotateNow } from '../operations/rotate.ts';
import { describeIncident } from './describe.ts';
import { workRunbooks } from './work-runbooks.ts';

let stage: RunbookStage;

beforeEach(async () => {
  stage = await runbookStage();
});
afterEach(() => stage.stop());

const custom = () => ({
  custom: { http: { url: `${stage.url}/hook`, secretFrom: { file: stage.secretFile } } },
});

/** Looks at the runbooks once more, whatever they wait for. */
async function look(): Promise<void> {
  await stage.tryAgain();
  await workRunbooks(stage.orchestrator);
}

async function stepsOf(incident: string, policy = 0) {
  return (await describeIncident(stage.orchestrator, incident)).targets[policy]?.steps ?? [];
}

test('a custom step is called once when it works, signed, with no secret in it', async () => {
  await stage.policy('orders', [custom(), { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await look();
  await look();
  expect(stage.received).toHaveLength(1);
  const [call] = stage.received;
  expect(call).toMatchObject({ method: 'POST', path: '/hook' });
  expect(JSON.parse(call?.body ?? '')).toEqual({
    type: 'rotor.incident.custom',
    timestamp: expect.any(String),
    data: { incident, policy: 'shop/orders', moment: 'opened', step: 0 },
  });
  await standardWebhooks.verify(
    {
      method: 'POST',
      headers: call?.headers as Record<string, string>,
      body: Buffer.from(call?.body ?? ''),
    },
    { secretsFrom: [{ file: 'x' }], mayName: [], window: 300_000 },
    {
      now: new Date(),
      fetchText: async () => '',
      secrets: async () => [SecretValue.of('whsec_c2hhcmVkLXNlY3JldA==')],
    },
  );
  expect((await stepsOf(incident))[0]).toMatchObject({ kind: 'custom', state: 'done', tries: 1 });
});

test('a call that fails is repeated under the same id with the same words', async () => {
  stage.answers.push({ status: 503 }, { status: 429 }, { status: 302 });
  await stage.policy('orders', [custom(), { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await workRunbooks(stage.orchestrator);
  expect((await stepsOf(incident))[0]).toMatchObject({
    state: 'waiting',
    tries: 1,
    error: expect.stringContaining('answers 503'),
  });
  // Not before its pause is over.
  await workRunbooks(stage.orchestrator);
  expect(stage.received).toHaveLength(1);
  for (let tries = 0; tries < 3; tries += 1) await look();
  expect(new Set(stage.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(new Set(stage.received.map(({ body }) => body)).size).toBe(1);
  expect((await stepsOf(incident))[0]).toMatchObject({ state: 'done', tries: 4 });
});

test('a call that is refused has failed, in words, and holds nothing up', async () => {
  stage.answers.push({ status: 403 });
  await stage.policy('orders', [custom(), custom(), { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await look();
  expect(await stepsOf(incident)).toMatchObject([
    { state: 'failed', error: expect.stringMatching(/refuses the call with 403$/) },
    { state: 'done' },
    { kind: 'rotate', state: 'waiting' },
  ]);
  expect(await listRotations(stage.test.ledger, { policy: 'shop/orders' })).toHaveLength(1);
});

test('a step that never works is given up after ten tries, and says why', async () => {
  const missing = { http: { url: `${stage.url}/hook`, secretFrom: { file: join(stage.folder, 'none') } } };
  await stage.policy('orders', [{ custom: missing }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  for (let tries = 0; tries < 12; tries += 1) await look();
  expect((await stepsOf(incident))[0]).toMatchObject({
    state: 'failed',
    tries: 10,
    error: expect.stringContaining('ENOENT'),
  });
  expect(stage.received).toEqual([]);
});

test('two processes at once perform a step once', async () => {
  await stage.policy('orders', [custom(), { rotate: {} }]);
  await stage.report(['orders']);
  await Promise.all([1, 2, 3].map(() => workRunbooks(stage.orchestrator)));
  expect(stage.received).toHaveLength(1);
});

test('evidence of a whole incident is written when all of it has ended, once, for this user alone', async () => {
  const directory = join(stage.folder, 'evidence');
  await mkdir(directory);
  const steps = [{ rotate: {} }, { evidence: { directory } }];
  const one = await stage.policy('orders', steps);
  const two = await stage.policy('carts', steps);
  const incident = await stage.report(['orders', 'carts']);
  await endTarget(stage.test.ledger, incident, one, 'proven');
  await look();
  expect(await readdir(directory)).toEqual([]);
  await endTarget(stage.test.ledger, incident, two, 'proven');
  await look();
  await look();
  expect((await readdir(directory)).sort()).toEqual([
    `incident-${incident}.html`,
    `incident-${incident}.json`,
  ]);
  const file = join(directory, `incident-${incident}.json`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const bundle = JSON.parse(await readFile(file, 'utf8'));
  expect(bundle).toMatchObject({ incident: { id: incident, state: 'ended' }, chain: { verified: true } });
  expect(bundle.incident.targets).toHaveLength(2);
  for (const policy of [0, 1])
    expect((await stepsOf(incident, policy))[1]).toMatchObject({ kind: 'evidence', state: 'done' });
});

test('a directory that is not there is said in words, and tried again', async () => {
  const directory = join(stage.folder, 'nowhere');
  const uid = await stage.policy('orders', [{ rotate: {} }, { evidence: { directory } }]);
  const incident = await stage.report(['orders']);
  await endTarget(stage.test.ledger, incident, uid, 'proven');
  await look();
  expect((await stepsOf(incident))[1]).toMatchObject({
    state: 'waiting',
    error: `delivery.failed: the evidence can't be written to ${directory} (ENOENT)`,
  });
  await mkdir(directory);
  await look();
  expect((await stepsOf(incident))[1]).toMatchObject({ state: 'done', tries: 2 });
});

const resolve = () => ({ resolve: { github: { tokenFrom: { file: stage.secretFile }, apiUrl: stage.url } } });
const alert = { owner: 'acme', repo: 'shop', number: 7 };

test('an alert of GitHub is resolved once the credential is proven dead, and not before', async () => {
  const uid = await stage.policy('orders', [resolve(), { rotate: {} }]);
  const incident = await stage.report(['orders'], { alert });
  await look();
  expect(stage.received).toEqual([]);
  await endTarget(stage.test.ledger, incident, uid, 'proven');
  await look();
  expect(stage.received).toMatchObject([
    {
      method: 'PATCH',
      path: '/repos/acme/shop/secret-scanning/alerts/7',
      headers: { authorization: 'Bearer whsec_c2hhcmVkLXNlY3JldA==', 'x-github-api-version': '2022-11-28' },
    },
  ]);
  expect(JSON.parse(stage.received[0]?.body ?? '')).toEqual({
    state: 'resolved',
    resolution: 'revoked',
    resolution_comment: expect.stringContaining(incident),
  });
  expect((await stepsOf(incident))[0]).toMatchObject({
    state: 'done',
    result: { resolved: ['acme/shop alert 7'] },
  });
});

test.each([
  [404, {}, 'failed', /GitHub knows no acme\/shop alert 7 \(404\)/],
  [403, {}, 'failed', /may not resolve acme\/shop alert 7 \(403\)/],
  [401, {}, 'failed', /does not accept the token \(401\)/],
  [422, {}, 'failed', /does not take the resolution/],
  [403, { 'x-ratelimit-remaining': '0' }, 'waiting', /answers 403/],
  [502, {}, 'waiting', /answers 502/],
] as const)('GitHub answers %i %j: %s, in words', async (status, headers, state, words) => {
  stage.answers.push({ status, headers });
  const uid = await stage.policy('orders', [resolve(), { rotate: {} }]);
  const incident = await stage.report(['orders'], { alert });
  await endTarget(stage.test.ledger, incident, uid, 'proven');
  await look();
  expect((await stepsOf(incident))[0]).toMatchObject({ state, error: expect.stringMatching(words) });
});

test('where no report was an alert, there is nothing to resolve', async () => {
  const uid = await stage.policy('orders', [resolve(), { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await endTarget(stage.test.ledger, incident, uid, 'proven');
  await look();
  expect(stage.received).toEqual([]);
  expect((await stepsOf(incident))[0]).toMatchObject({ state: 'done', result: { resolved: [] } });
});

test('what comes after a failed incident is left out', async () => {
  const uid = await stage.policy('orders', [{ rotate: {} }, custom(), resolve()]);
  const incident = await stage.report(['orders']);
  await endTarget(stage.test.ledger, incident, uid, 'failed');
  await look();
  expect(stage.received).toEqual([]);
  expect(await stepsOf(incident)).toMatchObject([
    {},
    { state: 'skipped', error: 'the incident failed before' },
    { state: 'skipped' },
  ]);
});

test('a fast rollout moves all waves at once, bounded, also of a rotation that was under way', async () => {
  const consumers = [1, 2, 3].map((wave) => ({ name: `c${wave}`, kind: 'none', spec: {}, wave }));
  const rollout = { maxMoving: 1, pauseMs: 60_000, coalesceMs: 0 };
  await stage.policy('orders', [{ rotate: {} }, { rollout: { maxMoving: 2, deadline: '30s' } }], {
    consumers,
    rollout,
  });
  const { ledger } = stage.test;
  const id = await rotateNow(stage.orchestrator, 'shop/orders', 'test');
  await stage.report(['orders']);
  const { spec, createdAt, deadlineAt } = await getRotation<Record<string, unknown>>(ledger, id);
  expect(spec.rollout).toEqual({ maxMoving: 2, pauseMs: 0, coalesceMs: 0 });
  expect(spec.consumers).toEqual(consumers.map((each) => ({ ...each, wave: 0 })));
  expect(deadlineAt.getTime() - createdAt.getTime()).toBeLessThan(40_000);
});

test('a policy of another environment is spared the steps of production', async () => {
  const steps = [{ ...custom(), when: { environment: ['production'] } }, { rotate: {} }];
  await stage.policy('live', steps, { environment: 'production' });
  await stage.policy('try', steps, { environment: 'staging' });
  const incident = await stage.report(['live', 'try']);
  await look();
  expect((await stepsOf(incident, 0)).map(({ kind }) => kind)).toEqual(['custom', 'rotate']);
  expect((await stepsOf(incident, 1)).map(({ kind }) => kind)).toEqual(['rotate']);
  expect(stage.received).toHaveLength(1);
});
