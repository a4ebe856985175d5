/**
 * From a signed report to a credential proven dead, by the processes that people run, on a real PostgreSQL, while a client
 * lives on the credential.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { IncidentView } from '../../orchestrator/incidents/describe.ts';
import type { EvidenceBundle } from '../../orchestrator/incidents/evidence.ts';
import { type Delivered, type LiveClient, startLiveClient } from '../crash/live-client.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));

let app: Application;
let rotor: ChildProcess;
let client: LiveClient | undefined;
let url: string;
let target: string;
let token: string;

beforeEach(async () => {
  app = await anApplication();
  await chmod(app.folder, 0o755);
  const home = join(app.folder, 'home');
  await mkdir(home);
  await writeFile(join(app.folder, 'hook'), 'hook-secret\n');
  await writeFile(
    join(app.folder, 'hooks.yaml'),
    stringify({
      sources: { github: { githubAlert: { secretsFrom: [{ file: join(app.folder, 'hook') }] } } },
    }),
  );
  rotor = spawn(process.execPath, [ROTOR, 'up'], {
    env: {
      ...process.env,
      ROTOR_HOME: home,
      ROTOR_MODE: 'embedded',
      ROTOR_LISTEN: '127.0.0.1:0',
      ROTOR_LOG_LEVEL: 'warn',
      ROTOR_HOOKS_FILE: join(app.folder, 'hooks.yaml'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  url = await new Promise<string>((resolve, reject) => {
    for (const stream of [rotor.stdout, rotor.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /running at (http:\S+);/.exec(output)?.[1];
        if (found) resolve(found);
      });
    }
    rotor.once('exit', () => reject(new Error(`rotor up ended:\n${output}`)));
  });
  token = (await readFile(join(home, 'admin-token'), 'utf8')).trim();
  target = join(app.folder, 'db.json');
});

afterEach(async () => {
  await client?.stop();
  client = undefined;
  const ended = once(rotor, 'exit');
  rotor.kill('SIGTERM');
  await ended;
  await app.drop();
});

const api = async <T>(path: string, init: RequestInit = {}): Promise<T> => {
  const response = await fetch(`${url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
};

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const start = Date.now(); Date.now() - start < 45_000; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it did not happen: ${what}`);
}

/**
 * A policy with one consumer, and its first rotation done.
 * @param grace from then on
 * @returns what is delivered
 */
async function aPolicy(grace: string): Promise<Delivered> {
  const apply = await applied('0s');
  const { rotation } = await api<{ rotation: string }>('/v1/policies/default/shop-db/rotate', {
    method: 'POST',
  });
  await until('the first rotation', async () => {
    const { state } = await api<{ state: string }>(`/v1/rotations/${rotation}`);
    return state === 'done' ? state : undefined;
  });
  await apply(grace);
  return JSON.parse(await readFile(target, 'utf8'));
}

/** The policy alone: its consumer uses what it had before. @returns applies it again with another grace time */
async function applied(grace: string): Promise<(grace: string) => Promise<unknown>> {
  const initial = join(app.folder, 'initial.json');
  const { username, password } = app.initial;
  const document = { username, password, host: '127.0.0.1', port: String(app.port), dbname: app.name };
  await writeFile(initial, JSON.stringify(document));
  await writeFile(target, JSON.stringify({ ...document, versionId: 'initial' }));
  const consumer = await startLiveClient(target);
  client = consumer;
  const apiVersion = 'rotor.dev/v1alpha1';
  const policy = (graceNow: string) => ({
    provider: 'shop',
    credential: { postgres: { mode: 'alternating-users', roles: app.roles, owner: app.owner } },
    initialFrom: { file: initial },
    store: { path: 'shop/db' },
    deliver: [{ file: { path: target, format: 'json' } }],
    consumers: [
      {
        name: 'web',
        reload: {
          via: { http: { url: `${consumer.url}/reload`, method: 'POST' } },
          health: { http: { url: `${consumer.url}/health`, versionPointer: '/version' } },
          healthInterval: '50ms',
          stableFor: 1,
        },
      },
    ],
    settle: { grace: graceNow, timeout: '60s' },
  });
  const apply = (graceNow: string) => {
    const manifests = [
      { apiVersion, kind: 'Provider', metadata: { name: 'shop' }, spec: { postgres: app.provider() } },
      { apiVersion, kind: 'RotationPolicy', metadata: { name: 'shop-db' }, spec: policy(graceNow) },
    ];
    return api('/v1/apply', {
      method: 'POST',
      headers: { 'content-type': 'application/yaml' },
      body: manifests.map((each) => stringify(each)).join('---\n'),
    });
  };
  await apply(grace);
  return apply;
}

async function report(leaked: string, alert: object): Promise<string> {
  const body = JSON.stringify({
    action: 'created',
    alert: { number: 1, secret_type: 'postgres', secret: leaked, ...alert },
    repository: { full_name: 'acme/shop', private: true },
  });
  const response = await fetch(`${url}/v1/hooks/github`, {
    method: 'POST',
    body,
    headers: {
      'x-github-event': 'secret_scanning_alert',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', 'hook-secret').update(body).digest('hex')}`,
    },
  });
  expect(response.status).toBe(202);
  const { incidents } = (await response.json()) as { incidents: string[] };
  return incidents[0] as string;
}

async function logsIn({ username, password, dbname }: Delivered): Promise<boolean> {
  const connection = new pg.Client({
    host: '127.0.0.1',
    port: app.port,
    database: dbname,
    user: username,
    password,
  });
  connection.on('error', () => undefined);
  try {
    await connection.connect();
    return true;
  } catch {
    return false;
  } finally {
    await connection.end().catch(() => undefined);
  }
}

test('high risk: the leaked one is refused before anything else, consumers get a new one', async () => {
  // A grace time that nobody could wait for: what is dead needs none.
  const leaked = await aPolicy('30s');
  const uri = `postgres://${leaked.username}:${encodeURIComponent(leaked.password)}@db/shop`;
  const id = await report(uri, { validity: 'active', publicly_leaked: true });
  await until('the containment', async () => ((await logsIn(leaked)) ? undefined : true));
  const incident = await until('the end', async () => {
    const view = await api<IncidentView>(`/v1/incidents/${id}`);
    return view.endedAt ? view : undefined;
  });
  expect(incident).toMatchObject({
    severity: 'critical',
    targets: [
      {
        policy: 'default/shop-db',
        mode: 'revoke-first',
        matchedBy: ['fingerprint'],
        result: 'proven',
        proof: { oldRefused: true, newAccepted: true },
      },
    ],
  });
  const page = await (await fetch(`${url}/metrics`)).text();
  for (const name of ['time_to_contain', 'time_to_revoke'])
    expect(page).toMatch(
      new RegExp(`^rotor_incident_${name}_seconds_count\\{.*mode="revoke-first".*\\} 1$`, 'm'),
    );
  const [seen] = incident.targets;
  const at = (moment: Date | undefined) => new Date(moment ?? Number.NaN).getTime();
  expect(at(seen?.containedAt)).toBeLessThan(at(seen?.timeline.rolledOut));
  const bundle = await until('the evidence', async () => {
    const made = await api<EvidenceBundle>(`/v1/incidents/${id}/evidence`);
    return ['sessions', 'readers', 'pods', 'consumers'].every((kind) =>
      made.seen.some((each) => each.kind === kind),
    )
      ? made
      : undefined;
  });
  const seen_ = new Map(bundle.seen.map((each) => [each.kind, each.facts]));
  expect(seen_.get('sessions')).toMatchObject({ identity: leaked.username, sessions: expect.any(Number) });
  expect(seen_.get('consumers')).toMatchObject({ consumers: [{ consumer: 'web', healthy: true }] });
  expect(seen_.get('readers')).toMatchObject({ note: expect.stringContaining('no Secret of a cluster') });
  expect(JSON.stringify(bundle)).not.toContain(leaked.password);
  const fresh: Delivered = JSON.parse(await readFile(target, 'utf8'));
  expect(await logsIn(leaked)).toBe(false);
  expect(await logsIn(fresh)).toBe(true);
  await until('the client', async () => (client?.held().versionId === fresh.versionId ? true : undefined));
});

test('low risk: consumers move first, nobody is refused, then the leaked one dies', async () => {
  const leaked = await aPolicy('500ms');
  const refused = client?.refusals.length;
  const id = await report(leaked.password, { validity: 'unknown' });
  const incident = await until('the end', async () => {
    const view = await api<IncidentView>(`/v1/incidents/${id}`);
    return view.endedAt ? view : undefined;
  });
  expect(incident.targets).toMatchObject([
    { mode: 'overlap', result: 'proven', proof: { oldRefused: true, newAccepted: true } },
  ]);
  expect(await logsIn(leaked)).toBe(false);
  expect(client?.refusals.slice(refused)).toEqual([]);

  // The same value again, long dead: a proof, no rotation.
  const again = await report(leaked.password, { validity: 'active', publicly_leaked: true });
  const proven = await until('the proof', async () => {
    const view = await api<IncidentView>(`/v1/incidents/${again}`);
    return view.endedAt ? view : undefined;
  });
  expect(proven.targets).toMatchObject([{ answer: 'prove', result: 'proven' }]);
  expect(proven.targets[0]?.rotationId).toBeUndefined();
  const { seen } = await api<EvidenceBundle>(`/v1/incidents/${again}/evidence`);
  expect(seen.find(({ kind }) => kind === 'attempt')?.facts).toMatchObject({ outcome: 'refused' });
});

test('a credential that was never rotated is known by its value, contained and replaced', async () => {
  await applied('30s');
  const leaked = JSON.parse(await readFile(target, 'utf8')) as Delivered;
  await until('the fingerprint', async () => {
    const trail = await fetch(`${url}/v1/audit/export`, { headers: { authorization: `Bearer ${token}` } });
    return (await trail.text()).includes('credential.found') ? true : undefined;
  });
  expect(await logsIn(leaked)).toBe(true);
  const id = await report(leaked.password, { validity: 'active', publicly_leaked: true });
  await until('the containment', async () => ((await logsIn(leaked)) ? undefined : true));
  const incident = await until('the end', async () => {
    const view = await api<IncidentView>(`/v1/incidents/${id}`);
    return view.endedAt ? view : undefined;
  });
  expect(incident.targets).toMatchObject([
    {
      mode: 'revoke-first',
      matchedBy: ['fingerprint'],
      result: 'proven',
      proof: { oldRefused: true, newAccepted: true },
    },
  ]);
  const fresh: Delivered = JSON.parse(await readFile(target, 'utf8'));
  expect(fresh.password).not.toBe(leaked.password);
  expect(await logsIn(fresh)).toBe(true);
});
