/**
 * A whole runbook, and whoever works at it killed at each of its boundaries in turn: the next process goes on where it was.
 * Containment is never undone, what is told outside is told at least once under one id, and one rotation answers.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeCredential } from '../../core/credential.ts';
import { createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { applyResource } from '../../ledger/resources.ts';
import { listRotations } from '../../ledger/rotations.ts';
import type { TargetView } from '../../orchestrator/incidents/describe.ts';
import { describeIncident } from '../../orchestrator/incidents/describe.ts';
import { runbookSpec } from '../../orchestrator/incidents/runbook-schema.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import type { ResponderConfig } from './responder.ts';

/** Boundaries until people have to approve, and after they did. */
const BEFORE = [
  'intake:committed',
  'follow:rotate',
  'contain:claimed',
  'contain:performed',
  'contain:recorded',
  'runbook:custom:begun',
  'runbook:custom:performed',
  'runbook:custom:recorded',
  'notify:opened:performed',
  'notify:opened:recorded',
];
const AFTER = [
  'approve:recorded',
  'approve:recorded',
  'forward:install:performed',
  'forward:revoke:performed',
  'follow:end-proven',
  'runbook:custom:performed',
  'runbook:resolve:performed',
  'runbook:resolve:recorded',
  'runbook:evidence:performed',
  'runbook:evidence:recorded',
  'notify:proven:performed',
  'notify:proven:recorded',
];

/** For so long at most a process is on its way to a point after everything else is done. */
const MISSED_MS = 3_000;

interface Heard {
  readonly what: string;
  readonly id: string;
  readonly body: string;
}

let app: Application;
let test_: TestLedger;
let server: Server;
let heard: Heard[];
let responder: Omit<ResponderConfig, 'points' | 'approvers'>;
let files: { secret: string; evidence: string };
let url: string;

beforeEach(async () => {
  [app, test_] = await Promise.all([anApplication(), freshLedger()]);
  heard = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const id = String(request.headers['webhook-id'] ?? '');
      heard.push({ what: `${request.method} ${request.url}`, id, body: Buffer.concat(chunks).toString() });
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  files = { secret: join(app.folder, 'secret'), evidence: join(app.folder, 'evidence') };
  await mkdir(files.evidence);
  await writeFile(files.secret, 'whsec_c2hhcmVkLXNlY3JldA==\n');
  const keyFile = join(app.folder, 'key');
  await createKeyFile(keyFile);
  responder = {
    databaseUrl: test_.url.reveal(),
    queueName: `runbooks-${randomUUID()}`,
    keyFile,
    storeFolder: join(app.folder, 'store'),
    diedFile: join(app.folder, 'died'),
    leaked: app.initial.password,
    deliveryId: randomUUID(),
    fingerprintKey: 'crash-matrix',
  };
});
afterEach(async () => {
  server.close();
  await test_.drop();
  await app.drop();
});

/** A policy whose current credential works, and whose runbook has all there is. */
async function aPolicy(): Promise<string> {
  const { ledger } = test_;
  const webhook = { url: `${url}/told`, secretFrom: { file: files.secret } };
  const custom = (path: string) => ({
    custom: { http: { url: `${url}/${path}`, secretFrom: { file: files.secret }, timeout: '1s' } },
  });
  const { steps } = runbookSpec.parse({
    steps: [
      { notify: { on: ['opened', 'proven'], webhook } },
      { contain: {} },
      custom('first'),
      { approve: { people: 2 } },
      { rotate: {} },
      custom('last'),
      { resolve: { github: { tokenFrom: { file: files.secret }, apiUrl: url } } },
      { evidence: { directory: files.evidence } },
    ],
  });
  await applyResource(ledger, { kind: 'Runbook', namespace: 'shop', name: 'all', spec: { steps } });
  const provider = { kind: 'postgres', spec: app.provider() };
  await applyResource(ledger, { kind: 'Provider', namespace: 'shop', name: 'db', spec: provider });
  const spec = {
    provider: 'db',
    credential: {
      kind: 'postgres',
      spec: { mode: 'alternating-users', roles: app.roles, owner: app.owner },
    },
    store: { name: 'local', path: 'shop/orders' },
    deliver: [],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 10_000, onTimeout: 'roll-back' },
    deadlineMs: 120_000,
    suspend: false,
    onCompromise: { runbook: 'all' },
  };
  const { uid } = await applyPolicy(ledger, { uid: randomUUID(), namespace: 'shop', name: 'orders', spec });
  const { username, password } = app.initial;
  const versionId = randomUUID();
  const secrets = { password: SecretValue.of(password) };
  const fields = { username, host: '127.0.0.1', port: String(app.port), dbname: app.name };
  const [local] = stores({ keyring: await loadKeyring(responder.keyFile) });
  const store = local?.open({ path: responder.storeFolder } as never);
  const document = encodeCredential({ versionId, identity: username, fields, secrets });
  await store?.stage(aCall(), 'shop/orders', versionId, document);
  await store?.promote(aCall(), 'shop/orders', versionId, undefined);
  await ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint)
     VALUES ($1, $2, 'current', $3, $4)`,
    [versionId, uid, username, secrets.password.fingerprint(SecretValue.of(responder.fingerprintKey))],
  );
  return versionId;
}

/** Runs one process after the other, each killed at one of the points that are left, until `reached` says so. */
async function killed(
  points: readonly string[],
  approvers: readonly string[],
  reached: () => Promise<boolean>,
): Promise<void> {
  const left = [...points];
  for (;;) {
    const file = join(app.folder, `responder-${randomUUID()}.json`);
    await writeFile(responder.diedFile, '');
    await writeFile(file, JSON.stringify({ ...responder, points: left, approvers }), { mode: 0o600 });
    const script = fileURLToPath(new URL('responder.ts', import.meta.url));
    const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const died = once(child, 'exit');
    // What is recorded may be so by a process that died elsewhere right then: nobody comes by that point any more.
    const met = async () => left.every((point) => /^follow:|:recorded$/.test(point)) && (await reached());
    let done = await waitUntil(met, child);
    if (done && left.length > 0)
      done = await Promise.race([setTimeout(MISSED_MS, true), died.then(() => false)]);
    if (done) child.kill('SIGKILL');
    const [, signal] = await died;
    if (done) return;
    expect(signal, output).toBe('SIGKILL');
    const [point = ''] = (await readFile(responder.diedFile, 'utf8')).split('\n');
    expect(left, output).toContain(point);
    left.splice(left.indexOf(point), 1);
    await leasesOver();
    if (await isContained()) expect(await logsIn(), `after ${point}`).toBe('refused');
  }
}

/** What the dead one held is free, as it is a while later. */
async function leasesOver(): Promise<void> {
  const { ledger } = test_;
  await ledger.query('UPDATE rotor.incident_targets SET lease_until = NULL WHERE contained_at IS NULL');
  await ledger.query(
    'UPDATE rotor.incident_targets SET steps_at = clock_timestamp() WHERE steps_at IS NOT NULL',
  );
  await ledger.query(
    'UPDATE rotor.incident_messages SET next_at = clock_timestamp() WHERE sent_at IS NULL AND tries > 0',
  );
}

/** @returns false when the process ended before */
async function waitUntil(
  reached: () => Promise<boolean>,
  child: { readonly exitCode: number | null; readonly signalCode: string | null },
): Promise<boolean> {
  while (!(await reached())) {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    await setTimeout(50);
  }
  return true;
}

async function targetNow(): Promise<TargetView | undefined> {
  const [incident] = await test_.ledger.query<{ id: string }>('SELECT id FROM rotor.incidents');
  if (!incident) return undefined;
  const { targets } = await describeIncident({ ledger: test_.ledger } as Orchestrator, incident.id);
  return targets[0];
}

const isContained = async () => (await targetNow())?.containedAt !== undefined;

async function logsIn(): Promise<string> {
  const rotator = rotators.find(({ kind }) => kind === 'postgres');
  const session = rotator?.open(
    rotator.provider?.parse(app.provider()),
    rotator.credential.parse({ mode: 'alternating-users', roles: app.roles, owner: app.owner }),
  );
  const { username, password } = app.initial;
  const fields = { username, host: '127.0.0.1', port: String(app.port), dbname: app.name };
  const credential = {
    versionId: 'leaked',
    identity: username,
    fields,
    secrets: { password: SecretValue.of(password) },
  };
  try {
    return (await session?.attempt(aCall(), credential)) ?? '';
  } finally {
    await session?.close();
  }
}

const ids = (what: string) => heard.filter((each) => each.what === what).map(({ id }) => id);
const told = (type: string) =>
  heard
    .filter(({ what, body }) => what === 'POST /told' && JSON.parse(body).type === type)
    .map(({ id }) => id);

test('killed at each boundary of a runbook, the incident goes on where it was', {
  timeout: 300_000,
}, async () => {
  const leaked = await aPolicy();
  expect(await logsIn()).toBe('accepted');

  await killed(BEFORE, [], async () => {
    const target = await targetNow();
    const done = target?.steps.filter(({ kind }) => kind === 'custom')[0]?.state === 'done';
    const open = target?.steps.find(({ kind }) => kind === 'approve')?.approval?.expiresAt !== undefined;
    return done && open && told('rotor.incident.opened').length > 0;
  });
  // What comes before the approval is done; what comes after it waits for people.
  const waiting = await targetNow();
  expect(waiting).toMatchObject({ versionId: leaked, mode: 'revoke-first', result: undefined });
  expect(waiting?.steps.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'notify waiting',
    'contain done',
    'custom done',
    'approve waiting',
    'rotate waiting',
    'custom waiting',
    'resolve waiting',
    'evidence waiting',
  ]);
  expect(await listRotations(test_.ledger)).toEqual([]);
  expect(await logsIn()).toBe('refused');
  const { containedAt } = waiting ?? {};

  await killed(AFTER, ['alice', 'bob'], async () => {
    const target = await targetNow();
    return target?.steps.every(({ state }) => state === 'done') === true;
  });
  const ended = await targetNow();
  expect(ended).toMatchObject({
    result: 'proven',
    containedAt,
    proof: { oldRefused: true, newAccepted: true },
  });
  expect(ended?.steps[3]?.approval?.by.map(({ person }) => person)).toEqual(['alice', 'bob']);
  // One rotation answered, and one person's approval counts once, however many processes heard it.
  expect(await listRotations(test_.ledger)).toMatchObject([{ trigger: 'incident', state: 'done' }]);
  const audited = await test_.ledger.query<{ action: string }>(
    `SELECT action FROM rotor.audit WHERE action IN ('incident.opened', 'incident.approved', 'incident.released', 'credential.contained')
      ORDER BY action`,
  );
  expect(audited.map(({ action }) => action)).toEqual([
    'credential.contained',
    'incident.approved',
    'incident.approved',
    'incident.opened',
    'incident.released',
  ]);
  // Told at least once, and always under the same id.
  for (const each of [
    ids('POST /first'),
    ids('POST /last'),
    told('rotor.incident.opened'),
    told('rotor.incident.proven'),
  ]) {
    expect(each.length).toBeGreaterThan(0);
    expect(new Set(each).size).toBe(1);
  }
  expect(ids('PATCH /repos/acme/shop/secret-scanning/alerts/7').length).toBeGreaterThan(0);
  const bundle = join(files.evidence, `incident-${await incidentId()}.json`);
  expect((await stat(bundle)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(bundle, 'utf8'))).toMatchObject({
    incident: { targets: [{ result: 'proven' }] },
    chain: { verified: true },
  });
  expect(await logsIn()).toBe('refused');
});

async function incidentId(): Promise<string> {
  const [row] = await test_.ledger.query<{ id: string }>('SELECT id FROM rotor.incidents');
  return row?.id ?? '';
}
