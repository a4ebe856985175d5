import { createHmac, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { getIncident, incidentReports, listIncidents } from '../../ledger/incidents.ts';
import { recordTransition } from '../../ledger/journal.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { claimRotation, createRotation, listRotations } from '../../ledger/rotations.ts';
import { forgetReads, readsOf } from '../../ledger/secret-reads.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { orchestratorOf } from '../../test/setup/orchestrator.ts';
import { createApi } from '../api/api.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { parseHooks } from './hooks-file.ts';
import { openHooks } from './receive.ts';

const KEY = SecretValue.of('fingerprint-key');
let test_: TestLedger;
let folder: string;
let orchestrator: Orchestrator;
let app: ReturnType<typeof createApi>;
let woken: string[] = [];
let urgent: string[] = [];

beforeAll(async () => {
  test_ = await freshLedger();
  folder = await mkdtemp(join(tmpdir(), 'rotor-hooks-'));
  await writeFile(join(folder, 'secret'), 'shared\n');
  orchestrator = {
    ...orchestratorOf(test_.ledger),
    fingerprintKey: KEY,
    wake: async (id) => {
      woken.push(id);
    },
    wakeIncident: async (id) => {
      urgent.push(id);
    },
  };
});
afterAll(async () => {
  await test_.drop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  woken = [];
  urgent = [];
  const file = `sources:
  scanner: { generic: { secretsFrom: [{ file: ${join(folder, 'secret')} }], signature: { header: X-Signature } } }
  cluster: { kubernetesAudit: { secretsFrom: [{ file: ${join(folder, 'secret')} }], maxBytes: 2097152 } }
  few: { perMinute: 2, generic: { secretsFrom: [{ file: ${join(folder, 'secret')} }] } }
`;
  app = createApi(orchestrator, {
    metrics: async () => '',
    hooks: openHooks(orchestrator, parseHooks(file, 'hooks.yaml').sources),
  });
});

function send(body: unknown, secret = 'shared', source = 'scanner') {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const signature = createHmac('sha256', secret).update(text).digest('hex');
  return app.request(`/v1/hooks/${source}`, {
    method: 'POST',
    body: text,
    headers: { 'x-signature': signature, authorization: `Bearer ${secret}` },
  });
}

/** A policy whose current version has a secret of its own. */
async function policyWith(secret: string, state = 'current') {
  const name = `p-${randomUUID()}`;
  const { uid } = await applyPolicy(test_.ledger, {
    uid: randomUUID(),
    namespace: 'shop',
    name,
    spec: {
      credential: { kind: 'random', spec: {} },
      store: { name: 'local', path: `shop/${name}` },
      deliver: [{ kind: 'secret', spec: { name, namespaces: ['shop'] } }],
      consumers: [],
      settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
      deadlineMs: 60_000,
      suspend: false,
    },
  });
  const version = randomUUID();
  await test_.ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint) VALUES ($1, $2, $3, $4, $5)`,
    [version, uid, state, `user-${name}`, SecretValue.of(secret).fingerprint(KEY)],
  );
  return { uid, name: `shop/${name}`, version };
}

const auditOf = async (action: string) =>
  test_.ledger.query<{ subject: string; detail: Record<string, unknown> }>(
    'SELECT subject, detail FROM rotor.audit WHERE action = $1 ORDER BY id DESC',
    [action],
  );

const incidents = async () => (await listIncidents(test_.ledger, 1_000)).length;

describe('a leak of a current credential', () => {
  test('is an incident with a rotation that answers, committed before the sender is told', async () => {
    const policy = await policyWith('first-leaked-password');
    const response = await send({
      secret: 'postgres://shop:first-leaked-password@db/shop',
      severity: 'critical',
    });
    expect(response.status).toBe(202);
    const { incidents } = (await response.json()) as { incidents: string[] };
    const incident = await getIncident(test_.ledger, incidents[0] ?? '');
    expect(incident).toMatchObject({
      state: 'open',
      severity: 'critical',
      openedBy: 'hook/scanner',
      reports: 1,
    });
    const [rotation] = await listRotations(test_.ledger, { policy: policy.name });
    expect(rotation).toMatchObject({ trigger: 'incident', state: 'queued' });
    expect(incident.targets).toMatchObject([
      { policy: policy.name, versionId: policy.version, answer: 'rotate', rotationId: rotation?.id },
    ]);
    expect(incident.targets).toMatchObject([{ mode: 'revoke-first' }]);
    expect(urgent).toEqual(incidents);
    // Who contains it wakes its rotation; should nobody come, that begins by itself.
    expect(woken).toEqual([]);
    expect(rotation?.wakeAt).toBeInstanceOf(Date);
  });

  test('that isn’t urgent has a rotation that begins at once', async () => {
    const policy = await policyWith('not-so-urgent-password');
    await send({ secret: 'not-so-urgent-password', severity: 'medium' });
    const [rotation] = await listRotations(test_.ledger, { policy: policy.name });
    expect(rotation).toMatchObject({ trigger: 'incident', state: 'queued', wakeAt: undefined });
    expect(woken).toEqual([rotation?.id]);
    expect(urgent).toEqual([]);
  });

  test('its value is nowhere after that', async () => {
    await policyWith('Pl4nted-marker-1');
    await send({ secret: 'Pl4nted-marker-1', reference: 'Pl4nted-marker-1', identity: 'Pl4nted-marker-1' });
    const [incident] = await listIncidents(test_.ledger, 1);
    expect(incident?.targets).toHaveLength(1);
    const dump = await test_.ledger.query<{ row: string }>(
      `SELECT i::text AS row FROM rotor.incident_reports i UNION ALL SELECT a::text FROM rotor.audit a
       UNION ALL SELECT d::text FROM rotor.hook_deliveries d UNION ALL SELECT r::text FROM rotor.rotations r`,
    );
    expect(dump.map(({ row }) => row).join('\n')).not.toMatch(/Pl4nted/);
  });

  test('a storm of reports about it is one incident with many reports', async () => {
    const policy = await policyWith('stormy-password');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        send({ secret: 'stormy-password', reference: `find ${index}` }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(202));
    const all = (await Promise.all(answers.map((each) => each.json()))) as { incidents: string[] }[];
    const ids = new Set(all.flatMap(({ incidents }) => incidents));
    expect(ids.size).toBe(1);
    expect(await incidentReports(test_.ledger, [...ids][0] ?? '')).toHaveLength(20);
    expect(await listRotations(test_.ledger, { policy: policy.name })).toHaveLength(1);
  });

  test('many credentials in one report are one incident', async () => {
    const policies = await Promise.all([1, 2, 3].map((number) => policyWith(`mass-password-${number}`)));
    const response = await send([1, 2, 3].map((number) => ({ secret: `mass-password-${number}` })));
    const { incidents } = (await response.json()) as { incidents: string[] };
    expect(incidents).toHaveLength(1);
    const { targets } = await getIncident(test_.ledger, incidents[0] ?? '');
    expect(targets.map(({ policy }) => policy).sort()).toEqual(policies.map(({ name }) => name).sort());
  });
});

test('a leak that meets a waiting rotation of the credential ends its wait, and starts no second one', async () => {
  const policy = await policyWith('met-while-rotating');
  const id = randomUUID();
  const by = { trigger: 'schedule', requestedBy: 'test', deadlineMs: 600_000, spec: {} } as const;
  await createRotation(test_.ledger, { id, policyUid: policy.uid, ...by });
  const { epoch = 0n } = (await claimRotation(test_.ledger, id, 'w', 60_000)) ?? {};
  const wait = { state: 'waiting', wakeInMs: 86_400_000, waitReason: 'grace time: 1d left' } as const;
  await recordTransition(test_.ledger, { rotationId: id, epoch, seq: 0, entries: [], ...wait });
  expect((await send({ secret: 'met-while-rotating' })).status).toBe(202);
  expect(await listRotations(test_.ledger, { policy: policy.name })).toMatchObject([
    { id, state: 'waiting', wakeAt: undefined },
  ]);
  expect(woken).toEqual([id]);
  expect(await claimRotation(test_.ledger, id, 'w', 60_000)).toMatchObject({ hurried: true });
});

test('a leak of a version that was revoked long ago asks for a proof and rotates nothing', async () => {
  const policy = await policyWith('long-dead-password', 'revoked');
  await send({ secret: 'long-dead-password' });
  const [incident] = await listIncidents(test_.ledger, 1);
  expect(incident?.targets).toMatchObject([{ policy: policy.name, answer: 'prove' }]);
  expect(await listRotations(test_.ledger, { policy: policy.name })).toEqual([]);
});

test('a name alone is put on record and rotates nothing', async () => {
  const policy = await policyWith('unnamed-password');
  const identity = `user-${policy.name.replace('shop/', '')}`;
  await send({ identity, secretName: policy.name });
  const [incident] = await listIncidents(test_.ledger, 1);
  expect(incident?.targets).toMatchObject([
    { policy: policy.name, answer: 'watch', matchedBy: expect.arrayContaining(['identity', 'secretName']) },
  ]);
  expect(await listRotations(test_.ledger, { policy: policy.name })).toEqual([]);
});

test('a policy is rotated on the word of a source only if it may name it', async () => {
  const [mine, other] = [await policyWith('named-password-1'), await policyWith('named-password-2')];
  const file = `sources:
  scanner: { generic: { secretsFrom: [{ file: ${join(folder, 'secret')} }], mayName: [${mine.name}], signature: { header: X-Signature } } }
`;
  app = createApi(orchestrator, {
    metrics: async () => '',
    hooks: openHooks(orchestrator, parseHooks(file, 'hooks.yaml').sources),
  });
  await send([{ policy: mine.name }, { policy: other.name }]);
  expect(await listRotations(test_.ledger, { policy: mine.name })).toHaveLength(1);
  expect(await listRotations(test_.ledger, { policy: other.name })).toEqual([]);
});

test('no match is an answer too, with what was looked for', async () => {
  const response = await send({ secret: 'nobody-has-this', accessKeyId: 'AKIAIOSFODNN7EXAMPLE' });
  const { incidents } = (await response.json()) as { incidents: string[] };
  expect(await getIncident(test_.ledger, incidents[0] ?? '')).toMatchObject({
    state: 'no-match',
    targets: [],
  });
  const [kept] = await incidentReports(test_.ledger, incidents[0] ?? '');
  const print = SecretValue.of('nobody-has-this').fingerprint(KEY).toString('hex');
  expect(kept?.report).toMatchObject({
    lookedFor: { fingerprints: [print], identities: ['AKIAIOSFODNN7EXAMPLE'] },
    matched: [],
  });
});

describe('refused, on record, and nothing changed', () => {
  test.each([
    ['a forged one', () => send({ secret: 'x' }, 'guessed'), 401],
    ['one of an unknown source', () => send({ secret: 'x' }, 'shared', 'nobody'), 401],
    ['a malformed one', () => send('{"secret": '), 400],
    ['one with a field that is not known', () => send({ secret: 'x', revokeEverything: true }), 400],
    ['an oversized one', () => send({ secret: 'x'.repeat(1_100_000) }), 413],
  ])('%s', async (_what, request, status) => {
    const before = await incidents();
    const response = await request();
    expect(response.status).toBe(status);
    if (status !== 413) expect(await response.json()).toEqual({});
    expect(await incidents()).toBe(before);
    if (status !== 413) expect((await auditOf('hook.refused')).length).toBeGreaterThan(0);
  });

  test('a replayed one', async () => {
    await policyWith('replayed-password');
    expect((await send({ secret: 'replayed-password' })).status).toBe(202);
    const before = await incidents();
    expect((await send({ secret: 'replayed-password' })).status).toBe(409);
    expect(await incidents()).toBe(before);
    const [incident] = await listIncidents(test_.ledger, 1);
    expect(incident?.reports).toBe(1);
  });

  test('more than a source may send', async () => {
    const statuses = [];
    for (const number of [1, 2, 3])
      statuses.push((await send({ secret: `n${number}` }, 'shared', 'few')).status);
    expect(statuses).toEqual([202, 202, 429]);
  });

  test('a stranger who keeps knocking', async () => {
    let last = await send({}, 'guessed');
    for (let knocks = 0; knocks < 70; knocks += 1) last = await send({}, 'guessed');
    expect(last.status).toBe(429);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('reads of Secrets, as a cluster tells of them', () => {
  const event = (name: string, more: object = {}) => ({
    auditID: randomUUID(),
    stage: 'ResponseComplete',
    verb: 'get',
    user: { username: 'alice', groups: ['ops'] },
    sourceIPs: ['10.0.0.9'],
    userAgent: 'kubectl',
    objectRef: { resource: 'secrets', namespace: 'shop', name },
    responseStatus: { code: 200 },
    requestReceivedTimestamp: new Date().toISOString(),
    ...more,
  });
  const batch = (...items: object[]) => ({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', items });
  const kept = async (name: string) => readsOf(test_.ledger, [{ namespace: 'shop', name }], new Date(0));

  test('are kept where a policy delivers the Secret, once however often they are told, and open no incident', async () => {
    const { name } = await policyWith('audited-password');
    const secret = name.split('/')[1] ?? '';
    const before = await incidents();
    const told = batch(
      event(secret),
      event('of-nobody'),
      event('', { verb: 'list', objectRef: { resource: 'secrets', namespace: 'shop' } }),
      event('', { verb: 'list', objectRef: { resource: 'secrets', namespace: 'elsewhere' } }),
      event(`${secret}-0123456789ab`),
      event(secret, { requestReceivedTimestamp: new Date(Date.now() + 86_400_000).toISOString() }),
    );
    for (const _ of [1, 2, 3]) expect((await send(told, 'shared', 'cluster')).status).toBe(202);
    expect(await kept(secret)).toMatchObject([
      { verb: 'get', name: secret, user: 'alice', groups: ['ops'], ips: ['10.0.0.9'], code: 200 },
      { verb: 'list', namespace: 'shop', name: null },
    ]);
    expect(await kept(`${secret}-0123456789ab`)).toHaveLength(2);
    expect(await kept('of-nobody')).toMatchObject([{ verb: 'list' }]);
    expect(await incidents()).toBe(before);
  });

  test('hold nothing that is itself a secret of ours, wherever it is written', async () => {
    const { name } = await policyWith('Pl4nted-as-agent');
    const secret = name.split('/')[1] ?? '';
    const user = { username: 'Pl4nted-as-agent', groups: ['Pl4nted-as-agent', 'ops'] };
    await send(batch(event(secret, { userAgent: 'Pl4nted-as-agent', user })), 'shared', 'cluster');
    const reads = (await kept(secret)).filter((read) => read.name === secret);
    expect(reads).toMatchObject([{ user: 'unnamed', userAgent: null, groups: ['ops'] }]);
  });

  test('may come in larger batches, from senders who have proven themselves', async () => {
    const large = batch(event('x', { responseObject: 'x'.repeat(1_500_000) }));
    expect((await send(large, 'shared', 'cluster')).status).toBe(202);
    expect((await send(large, 'guessed', 'cluster')).status).toBe(413);
    const larger = batch(event('x', { responseObject: 'x'.repeat(2_500_000) }));
    expect((await send(larger, 'shared', 'cluster')).status).toBe(413);
  });

  test('are forgotten after their time', async () => {
    const { name } = await policyWith('old-password');
    const secret = name.split('/')[1] ?? '';
    const old = new Date(Date.now() - 100 * 86_400_000).toISOString();
    await send(batch(event(secret, { requestReceivedTimestamp: old }), event(secret)), 'shared', 'cluster');
    const ours = async () => (await kept(secret)).filter((read) => read.name === secret);
    expect(await ours()).toHaveLength(2);
    expect(await forgetReads(test_.ledger, 90 * 86_400_000)).toBe(1);
    expect(await ours()).toHaveLength(1);
  });
});
