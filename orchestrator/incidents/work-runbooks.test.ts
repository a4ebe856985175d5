import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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

const found = (number: number) => ({
  alert: { ...alert, number },
  hints: {},
  found: [SecretValue.of('leaked-value')],
});

/** A credential that is proven dead while somebody still has to approve what comes last. */
async function provenAndOpen(apiUrl: string): Promise<string> {
  const github = { tokenFrom: { file: stage.secretFile }, apiUrl };
  const steps = [{ rotate: {} }, { resolve: { github } }, { approve: { people: 1 } }];
  const uid = await stage.policy('orders', steps);
  const { ledger } = stage.test;
  await ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint)
     VALUES (gen_random_uuid(), $1, 'current', 'app', $2)`,
    [uid, SecretValue.of('leaked-value').fingerprint(stage.orchestrator.fingerprintKey)],
  );
  const incident = await stage.report(['orders'], found(7));
  await ledger.query("UPDATE rotor.rotations SET state = 'done', holds = NULL, ended_at = clock_timestamp()");
  await ledger.query(
    "UPDATE rotor.credential_versions SET state = 'revoked', revoked_at = clock_timestamp()",
  );
  return incident;
}

test('an alert that joins after the others were resolved is resolved too, and they are left alone', async () => {
  const incident = await provenAndOpen(stage.url);
  await look();
  expect((await stepsOf(incident))[1]).toMatchObject({
    state: 'done',
    result: { resolved: ['acme/shop alert 7'] },
  });
  expect(await stage.report(['orders'], found(8))).toBe(incident);
  expect((await stepsOf(incident))[1]).toMatchObject({ state: 'waiting' });
  await look();
  expect((await stepsOf(incident))[1]).toMatchObject({
    state: 'done',
    result: { resolved: ['acme/shop alert 7', 'acme/shop alert 8'] },
  });
  // The same one again: nothing is asked of GitHub.
  await stage.report(['orders'], found(8));
  await look();
  expect((await stepsOf(incident))[1]).toMatchObject({ state: 'done' });
  expect(stage.received.map(({ path }) => path.split('/').at(-1))).toEqual(['7', '8']);
});

test('a report that joins while alerts are being resolved is not missed', async () => {
  const asked: string[] = [];
  const github = createServer((request, response) => {
    asked.push(request.url?.split('/').at(-1) ?? '');
    const joins = asked.length === 1 ? stage.report(['orders'], found(8)) : Promise.resolve('');
    void joins.then(() => response.writeHead(200).end());
  });
  await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve));
  try {
    const incident = await provenAndOpen(`http://127.0.0.1:${(github.address() as AddressInfo).port}`);
    await look();
    expect((await stepsOf(incident))[1]).toMatchObject({
      state: 'done',
      result: { resolved: ['acme/shop alert 7', 'acme/shop alert 8'] },
    });
    expect(new Set(asked)).toEqual(new Set(['7', '8']));
  } finally {
    github.close();
  }
});

test('who performs a step holds it for a lease at a time, renewed for as long as the step takes', async () => {
  const leaseMs = 3_000;
  const { ledger } = stage.test;
  let answer = () => undefined as unknown;
  const slow = createServer((_request, response) => {
    answer = () => response.writeHead(200).end();
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    const http = { url, secretFrom: { file: stage.secretFile }, timeout: '60s' };
    await stage.policy('orders', [{ custom: { http } }, { rotate: {} }]);
    const incident = await stage.report(['orders']);
    const working = workRunbooks(stage.orchestrator, leaseMs);
    const holds = new Set<string>();
    // The hold of the beginning, that of the step, and two that were renewed.
    while (holds.size < 4) {
      const [held] = await ledger.query<{ at: string; short: boolean }>(
        `SELECT steps_at::text AS at, steps_at <= clock_timestamp() + $1 * interval '1 millisecond' AS short
           FROM rotor.incident_targets`,
        [leaseMs],
      );
      expect(held?.short).toBe(true);
      holds.add(held?.at ?? '');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await workRunbooks(stage.orchestrator, leaseMs);
    expect((await stepsOf(incident))[0]).toMatchObject({ state: 'waiting', tries: 1 });
    answer();
    await working;
    expect((await stepsOf(incident))[0]).toMatchObject({ state: 'done', tries: 1 });
  } finally {
    slow.close();
  }
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
