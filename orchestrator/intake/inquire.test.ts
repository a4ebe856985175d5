/** Alerts that come without their secret, and GitHub that is asked for it. */
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { getIncident, type Incident, listIncidents } from '../../ledger/incidents.ts';
import { inquiriesOf } from '../../ledger/inquiries.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { GithubDouble, putOff } from '../../test/doubles/github.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { parseHooks } from './hooks-file.ts';
import { type Hooks, openHooks } from './receive.ts';

const KEY = SecretValue.of('fingerprint-key');
let test_: TestLedger;
let folder: string;
let github: GithubDouble;
let hooks: Hooks;

const orchestrator = (): Orchestrator => ({
  ledger: test_.ledger,
  registries: { rotators: [], stores: [], deliveries: [], rollouts: [] },
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
  fingerprintKey: KEY,
  localStore: { kind: 'local', spec: { path: '/nowhere' } },
  anchorFile: undefined,
  wake: async () => undefined,
  wakeIncident: async () => undefined,
});

beforeAll(async () => {
  test_ = await freshLedger();
  folder = await mkdtemp(join(tmpdir(), 'rotor-inquire-'));
  await writeFile(join(folder, 'hook'), 'shared\n');
  // One for all: who still asks for an earlier test may take up an alert of the next.
  github = await GithubDouble.start('gh-token');
});
afterAll(async () => {
  await github.stop();
  await test_.drop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  github.forget();
  await writeFile(join(folder, 'token'), 'gh-token\n');
  hooks = open();
});
afterEach(async () => {
  await test_.ledger.query('DELETE FROM rotor.hook_inquiries');
});

/** As a process opens them. */
function open(): Hooks {
  const file = `sources:
  org:
    githubAlert:
      secretsFrom: [{ file: ${join(folder, 'hook')} }]
      lookup: { tokenFrom: { file: ${join(folder, 'token')} }, apiUrl: "${github.url}" }
`;
  return openHooks(orchestrator(), parseHooks(file, 'hooks.yaml').sources);
}

function alertOf(number: number, more: object = {}, fullName = 'acme/shop') {
  const body = Buffer.from(
    JSON.stringify({
      action: 'created',
      alert: { number, secret_type: 'postgres', ...more },
      repository: { full_name: fullName, private: true },
    }),
  );
  return {
    method: 'POST',
    body,
    headers: {
      'x-github-event': 'secret_scanning_alert',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', 'shared').update(body).digest('hex')}`,
    },
  };
}

/** @returns the incident that it opened */
async function send(number: number, more?: object): Promise<string> {
  const answer = await hooks.receive('org', '127.0.0.1', alertOf(number, more));
  expect(answer.status).toBe(202);
  return (answer.body as { incidents: string[] }).incidents[0] as string;
}

async function policyWith(secret: string) {
  const name = `p-${randomUUID()}`;
  const { uid } = await applyPolicy(test_.ledger, {
    uid: randomUUID(),
    namespace: 'shop',
    name,
    spec: {
      credential: { kind: 'random', spec: {} },
      store: { name: 'local', path: `shop/${name}` },
      deliver: [],
      consumers: [],
      settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
      deadlineMs: 60_000,
    },
  });
  const version = randomUUID();
  await test_.ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint) VALUES ($1, $2, 'current', $3, $4)`,
    [version, uid, `user-${name}`, SecretValue.of(secret).fingerprint(KEY)],
  );
  return { name: `shop/${name}`, version };
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const answered = (id: string) =>
  until(async (): Promise<Incident | undefined> => {
    const incident = await getIncident(test_.ledger, id);
    return incident.targets.length > 0 || incident.endedAt ? incident : undefined;
  });

const inquiry = async (id: string) => (await inquiriesOf(test_.ledger, id))[0];
const tried = (id: string) => until(async () => ((await inquiry(id))?.error ? inquiry(id) : undefined));
const isDue = (id: string) =>
  test_.ledger.query('UPDATE rotor.hook_inquiries SET next_at = clock_timestamp() WHERE incident_id = $1', [
    id,
  ]);

async function everything(): Promise<string> {
  const rows = await test_.ledger.query<{ row: string }>(
    `SELECT i::text AS row FROM rotor.incident_reports i UNION ALL SELECT a::text FROM rotor.audit a
     UNION ALL SELECT q::text FROM rotor.hook_inquiries q UNION ALL SELECT t::text FROM rotor.incident_targets t`,
  );
  return rows.map(({ row }) => row).join('\n');
}

test('the sender is answered before GitHub is asked; then the leaked credential is found, and its value kept nowhere', async () => {
  const policy = await policyWith('Pl4nted-behind-the-alert');
  let letGo: () => void = () => undefined;
  github.gate = new Promise((resolve) => {
    letGo = resolve;
  });
  github.alerts.set('acme/shop/1', {
    secret: 'postgres://shop:Pl4nted-behind-the-alert@db/shop',
    validity: 'active',
    publicly_leaked: true,
    multi_repo: true,
    state: 'resolved',
    resolution: 'false_positive',
  });
  const id = await send(1);
  expect(await getIncident(test_.ledger, id)).toMatchObject({ state: 'open', targets: [], severity: 'high' });
  letGo();
  const incident = await answered(id);
  expect(incident).toMatchObject({ state: 'open', severity: 'critical', reports: 1 });
  expect(incident.targets).toMatchObject([
    { policy: policy.name, versionId: policy.version, mode: 'revoke-first', matchedBy: ['fingerprint'] },
  ]);
  await until(async () => (await answered(id)).targets[0]?.rotationId);
  expect(github.asked).toEqual(['/repos/acme/shop/secret-scanning/alerts/1?hide_secret=false']);
  expect(await everything()).not.toContain('Pl4nted');
});

test('an alert whose value is nobody’s ends as that', async () => {
  github.alerts.set('acme/shop/2', { secret: 'of-somebody-else' });
  const incident = await answered(await send(2));
  expect(incident).toMatchObject({ state: 'no-match', targets: [] });
});

test('an alert that carries its secret needs no question', async () => {
  await policyWith('in-the-payload');
  const id = await send(3, { secret: 'in-the-payload' });
  expect((await getIncident(test_.ledger, id)).targets).toHaveLength(1);
  await hooks.inquire();
  expect(github.asked).toEqual([]);
});

test('a process that died before it could ask: another one asks', async () => {
  await policyWith('after-the-crash');
  github.alerts.set('acme/shop/4', { secret: 'after-the-crash' });
  github.instead.push('hang');
  const id = await send(4);
  await until(async () => (github.asked.length === 1 ? true : undefined));
  // The one who asked is gone for good; its claim ends.
  await isDue(id);
  await open().inquire();
  expect((await answered(id)).targets).toHaveLength(1);
});

test('two alerts of one credential are one incident', async () => {
  await policyWith('twice-found');
  github.alerts.set('acme/shop/5', { secret: 'twice-found' });
  github.alerts.set('acme/shop/6', { secret: 'twice-found' });
  const first = await send(5);
  await answered(first);
  const second = await send(6);
  const gone = await until(async () => {
    const all = await listIncidents(test_.ledger, 10);
    return all.some(({ id }) => id === second) ? undefined : all;
  });
  expect(gone.find(({ id }) => id === first)).toMatchObject({ reports: 2 });
  const told = await test_.ledger.query<{ detail: object }>(
    `SELECT detail FROM rotor.audit WHERE action = 'incident.reported-again' AND subject = $1`,
    [`incident/${first}`],
  );
  expect(told).toMatchObject([{ detail: { insteadOf: second } }]);
});

describe('GitHub that puts off', () => {
  test.each([
    ['by its primary limit', () => putOff.primary(new Date(Date.now() + 600_000)), 590_000, 605_000],
    ['by a secondary limit', () => putOff.secondary(120), 115_000, 121_000],
    ['by a secondary limit without a time', () => putOff.secondary(), 55_000, 61_000],
  ])('%s is asked again no sooner, for any alert of this sender', async (_how, said, least, most) => {
    github.alerts.set('acme/shop/7', { secret: 'x' });
    github.alerts.set('acme/shop/8', { secret: 'x' });
    let letGo: () => void = () => undefined;
    github.gate = new Promise((resolve) => {
      letGo = resolve;
    });
    github.instead.push(said());
    const [one, other] = [await send(7), await send(8)];
    letGo();
    const first = await tried(one);
    expect(first?.error).toMatch(/rate limit is reached/);
    expect(first?.tries).toBe(0);
    await hooks.inquire();
    expect(github.asked).toHaveLength(1);
    for (const id of [one, other]) {
      const waits = ((await inquiry(id))?.nextAt.getTime() ?? 0) - Date.now();
      expect(waits).toBeGreaterThan(least);
      expect(waits).toBeLessThan(most);
    }
    await isDue(one);
    await open().inquire();
    expect((await inquiry(one))?.endedAt).toBeInstanceOf(Date);
  });
});

test.each([
  ['a server error', { status: 503 } as const, /answers 503/],
  ['a cut connection', 'cut' as const, /connection/],
  ['an alert that the token may not see', { status: 404 } as const, /shows no alert/],
  ['a token that is refused', { status: 401 } as const, /refuses the token/],
])('%s is told, and repeated until it is mended', async (_what, said, words) => {
  await policyWith(`mended-${words}`);
  github.alerts.set('acme/shop/9', { secret: `mended-${words}` });
  github.instead.push(said);
  const id = await send(9);
  const problem = await tried(id);
  expect(problem?.error).toMatch(words);
  expect(problem?.endedAt).toBeNull();
  await isDue(id);
  await open().inquire();
  expect((await answered(id)).targets).toHaveLength(1);
});

test('an answer without a secret ends the incident as unread, and says so in the trail', async () => {
  github.instead.push({ status: 200, body: { number: 10, secret_type: 'postgres' } });
  const id = await send(10);
  expect(await answered(id)).toMatchObject({ state: 'unread', targets: [] });
  const told = await test_.ledger.query<{ detail: object }>(
    `SELECT detail FROM rotor.audit WHERE action = 'incident.unread' AND subject = $1`,
    [`incident/${id}`],
  );
  expect(told).toMatchObject([{ detail: { why: expect.stringContaining('without the secret') } }]);
});

test('a renamed repository is followed on the same host, and nowhere else', async () => {
  await policyWith('after-the-move');
  github.alerts.set('acme/new/11', { secret: 'after-the-move' });
  github.moved.set('acme/shop', `${github.url}/repos/acme/new/secret-scanning/alerts/11`);
  expect((await answered(await send(11))).targets).toHaveLength(1);
  const elsewhere = await GithubDouble.start('gh-token');
  github.moved.set('acme/shop', `${elsewhere.url}/repos/acme/new/secret-scanning/alerts/11`);
  await tried(await send(12));
  expect(elsewhere.asked).toEqual([]);
  await elsewhere.stop();
});

test.each(['acme', 'acme/../admin', 'acme/shop/..', 'http://evil.example/x', 'acme/..', 'acme/sh op'])(
  'a payload that names the repository %s asks nobody anything',
  async (fullName) => {
    const answer = await hooks.receive('org', '127.0.0.1', alertOf(13, {}, fullName));
    expect(answer.status).toBe(400);
    await hooks.inquire();
    expect(github.asked).toEqual([]);
  },
);
