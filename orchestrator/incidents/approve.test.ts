/** Approvals over HTTP, as people give them: each by a token of their own. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { claimContainments } from '../../ledger/containment.ts';
import { endTarget } from '../../ledger/incident-targets.ts';
import { applyPolicy, getPolicy, type Policy } from '../../ledger/policies.ts';
import { ledgerNow, listRotations } from '../../ledger/rotations.ts';
import { createToken, type Role } from '../../ledger/tokens.ts';
import { type RunbookStage, runbookStage } from '../../test/setup/runbooks.ts';
import { createApi } from '../api/api.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { dueOf } from '../operations/due.ts';
import { createRotationOf, rotateNow } from '../operations/rotate.ts';
import { scheduleSchema } from '../schedule/schedule.ts';
import { tick } from '../scheduler/scheduler.ts';
import { describeIncident } from './describe.ts';
import { followIncidents } from './follow.ts';
import { sendMessages } from './notify.ts';
import { workRunbooks } from './work-runbooks.ts';

let stage: RunbookStage;
let app: ReturnType<typeof createApi>;

beforeEach(async () => {
  stage = await runbookStage();
  app = createApi(stage.orchestrator, { metrics: async () => '' });
});
afterEach(() => stage.stop());

const token = async (name: string, role: Role = 'responder', owner?: string) =>
  (await createToken(stage.test.ledger, name, role, undefined, owner)).reveal();

async function approve(incident: string, by: string, body: object = {}) {
  const response = await app.request(`/v1/incidents/${incident}/approvals`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${by}`, 'content-type': 'application/json' },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function work(): Promise<void> {
  await followIncidents(stage.orchestrator);
  await stage.tryAgain();
  await workRunbooks(stage.orchestrator);
}

const rotations = async (name: string) => listRotations(stage.test.ledger, { policy: `shop/${name}` });

async function targetOf(incident: string, place = 0) {
  const { targets } = await describeIncident(stage.orchestrator, incident);
  return targets[place];
}

/** A version that leaked, so that there is something to contain. */
async function leakOf(policyUid: string): Promise<void> {
  await stage.test.ledger.query(
    `WITH leaked AS (
       INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, compromised)
       VALUES (gen_random_uuid(), $1, 'current', 'app', true) RETURNING id)
     UPDATE rotor.incident_targets SET version_id = (SELECT id FROM leaked) WHERE policy_uid = $1`,
    [policyUid],
  );
}

const dueToContain = async () =>
  (await claimContainments(stage.test.ledger, undefined, '', 0, 10)).map(({ policy }) => policy);

test('two people approve: the rotation that waited for them begins at the second', async () => {
  await stage.policy('orders', [{ approve: {} }, { contain: {} }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await work();
  expect(await rotations('orders')).toEqual([]);
  const [alice, bob] = [await token('alice'), await token('bob')];
  expect(await approve(incident, alice)).toEqual({
    status: 200,
    body: {
      approved: [{ policy: 'shop/orders', step: 0, approvals: ['alice'], needed: 2, released: false }],
    },
  });
  expect(await rotations('orders')).toEqual([]);
  expect(await approve(incident, bob)).toMatchObject({
    status: 200,
    body: { approved: [{ approvals: ['alice', 'bob'], released: true }] },
  });
  expect(await rotations('orders')).toHaveLength(1);
  const seen = await targetOf(incident);
  expect(seen).toMatchObject({ mode: 'revoke-first' });
  expect(seen?.steps[0]).toMatchObject({
    kind: 'approve',
    state: 'done',
    approval: { needed: 2, by: [{ person: 'alice' }, { person: 'bob' }] },
  });
  await work();
  expect(await rotations('orders')).toHaveLength(1);
});

test('one person counts once, however often and by however many tokens', async () => {
  await stage.policy('orders', [{ approve: {} }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  const alice = await token('alice');
  const laptop = await token('alice-laptop', 'responder', 'alice');
  expect((await approve(incident, alice)).status).toBe(200);
  for (const again of [alice, laptop])
    expect(await approve(incident, again)).toMatchObject({
      status: 409,
      body: {
        code: 'ledger.conflict',
        what: `alice has approved incident ${incident} already, and one person counts once`,
      },
    });
  expect(await rotations('orders')).toEqual([]);
});

test('three people at once, and one of them five times: it goes on once', async () => {
  await stage.policy('orders', [{ approve: { people: 3 } }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  const [alice, bob, carol] = [await token('alice'), await token('bob'), await token('carol')];
  const all = await Promise.all(
    [alice, alice, alice, bob, alice, carol, alice].map((each) => approve(incident, each)),
  );
  expect(all.filter(({ status }) => status === 200)).toHaveLength(3);
  expect(all.filter(({ status }) => status === 409)).toHaveLength(4);
  expect(await rotations('orders')).toHaveLength(1);
});

test('whoever opened the incident counts once like everybody', async () => {
  await stage.policy('orders', [{ approve: {} }, { rotate: {} }]);
  const alice = await token('alice');
  const opened = await app.request('/v1/respond', {
    method: 'POST',
    body: JSON.stringify({ policy: 'shop/orders', reason: 'seen in a ticket' }),
    headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json' },
  });
  const { incidents } = (await opened.json()) as { incidents: string[] };
  const [incident = ''] = incidents;
  expect((await approve(incident, alice)).body).toMatchObject({ approved: [{ approvals: ['alice'] }] });
  expect((await approve(incident, alice)).status).toBe(409);
});

test('without the role nobody approves', async () => {
  await stage.policy('orders', [{ approve: {} }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  for (const role of ['viewer', 'operator'] as const)
    expect(await approve(incident, await token(role, role))).toMatchObject({
      status: 403,
      body: { what: expect.stringContaining('needs the role responder') },
    });
  expect((await approve(incident, 'rotor_forged')).status).toBe(401);
  expect((await targetOf(incident))?.steps[0]?.approval?.by).toEqual([]);
});

const expire = () =>
  stage.test.ledger.query(
    `UPDATE rotor.incident_steps SET expires_at = clock_timestamp() WHERE expires_at IS NOT NULL`,
  );

test('an approval that comes too late is refused, the incident has failed, and who is on call is told', async () => {
  const webhook = { url: stage.url, secretFrom: { file: stage.secretFile } };
  await stage.policy('orders', [
    { approve: {} },
    { rotate: {} },
    { custom: { http: webhook } },
    { notify: { webhook, on: ['approval', 'failed'] } },
  ]);
  const incident = await stage.report(['orders']);
  await sendMessages(stage.orchestrator);
  const [alice, bob] = [await token('alice'), await token('bob')];
  await approve(incident, alice);
  await expire();
  const late = {
    status: 409,
    body: { what: expect.stringMatching(/^the approval of incident .* expired at /) },
  };
  expect(await approve(incident, bob)).toMatchObject(late);
  await work();
  await sendMessages(stage.orchestrator);
  expect(await approve(incident, bob)).toMatchObject(late);
  const seen = await targetOf(incident);
  expect(seen).toMatchObject({ result: 'failed', reason: 'approval expired' });
  expect(seen?.steps.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'approve failed',
    'rotate skipped',
    'custom skipped',
    'notify done',
  ]);
  expect(await rotations('orders')).toEqual([]);
  expect(stage.received.map(({ body }) => JSON.parse(body))).toMatchObject([
    { type: 'rotor.incident.approval' },
    { type: 'rotor.incident.failed', data: { reason: 'approval expired' } },
  ]);
});

test('a runbook may say that it goes on without approval', async () => {
  await stage.policy('orders', [{ approve: { onExpiry: 'continue' } }, { contain: {} }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  await expire();
  await work();
  expect(await rotations('orders')).toHaveLength(1);
  expect(await targetOf(incident)).toMatchObject({ mode: 'revoke-first', result: undefined });
  expect(await approve(incident, await token('alice'))).toMatchObject({ status: 409 });
});

test('an incident that has ended has nothing to approve', async () => {
  const uid = await stage.policy('orders', [{ rotate: {} }, { approve: {} }]);
  const incident = await stage.report(['orders']);
  const alice = await token('alice');
  expect(await approve(incident, alice)).toMatchObject({
    status: 409,
    body: { what: `incident ${incident} does not wait for an approval now` },
  });
  await endTarget(stage.test.ledger, incident, uid, 'failed');
  expect(await approve(incident, alice)).toMatchObject({
    status: 409,
    body: { what: `incident ${incident} has ended: there is nothing to approve` },
  });
  expect((await approve('00000000-0000-4000-8000-000000000000', alice)).status).toBe(404);
});

test('a containment before the approval needs nobody, and one after it waits', async () => {
  const before = await stage.policy('before', [{ contain: {} }, { approve: {} }, { rotate: {} }]);
  const after = await stage.policy('after', [{ approve: {} }, { contain: {} }, { rotate: {} }]);
  const incident = await stage.report(['before', 'after']);
  await leakOf(before);
  await leakOf(after);
  await work();
  // Both rotations wait; what is contained is contained by what the rotation would work by.
  expect([...(await rotations('before')), ...(await rotations('after'))]).toEqual([]);
  expect(await dueToContain()).toEqual(['shop/before']);
  for (const person of ['alice', 'bob']) {
    const by = await token(person);
    expect(await approve(incident, by, { policy: 'shop/after' })).toMatchObject({ status: 200 });
  }
  expect((await dueToContain()).sort()).toEqual(['shop/after', 'shop/before']);
  expect(await rotations('after')).toHaveLength(1);
  expect(await rotations('before')).toEqual([]);
});

test('a containment that no approval held up goes on when nobody approves what comes after it', async () => {
  const before = await stage.policy('before', [{ contain: {} }, { approve: {} }, { rotate: {} }]);
  const after = await stage.policy('after', [{ approve: {} }, { contain: {} }, { rotate: {} }]);
  const incident = await stage.report(['before', 'after']);
  await leakOf(before);
  await leakOf(after);
  await work();
  await expire();
  await work();
  for (const place of [0, 1])
    expect(await targetOf(incident, place)).toMatchObject({ result: 'failed', reason: 'approval expired' });
  expect(await dueToContain()).toEqual(['shop/before']);
});

test('two approvals in a row: the second opens when the first is done, and counts anew', async () => {
  await stage.policy('orders', [{ approve: { people: 1 } }, { approve: { people: 1 } }, { rotate: {} }]);
  const incident = await stage.report(['orders']);
  const alice = await token('alice');
  expect((await approve(incident, alice)).body).toMatchObject({ approved: [{ step: 0, released: true }] });
  expect(await rotations('orders')).toEqual([]);
  await work();
  expect((await approve(incident, alice)).body).toMatchObject({ approved: [{ step: 1, released: true }] });
  expect(await rotations('orders')).toHaveLength(1);
});

test('what is rotated along waits for the same people', async () => {
  await stage.policy('orders', [
    { contain: {} },
    { approve: { people: 1 } },
    { rotate: {} },
    { related: { policies: 'rotate' } },
  ]);
  const spec = {
    credential: { kind: 'random', spec: {} },
    store: { name: 'local', path: 'shop/orders' },
    deliver: [],
    consumers: [],
    settle: {},
    deadlineMs: 60_000,
  };
  const named = { uid: '00000000-0000-4000-8000-00000000000a', namespace: 'shop', name: 'sibling' };
  await applyPolicy(stage.test.ledger, { ...named, spec });
  const incident = await stage.report(['orders']);
  await work();
  expect([...(await rotations('orders')), ...(await rotations('sibling'))]).toEqual([]);
  expect(await approve(incident, await token('alice'))).toMatchObject({
    body: { approved: [{ policy: 'shop/orders' }, { policy: 'shop/sibling' }] },
  });
  expect(await rotations('orders')).toHaveLength(1);
  expect(await rotations('sibling')).toHaveLength(1);
});

test('what falls due while an incident waits for people rotates when it has ended, and not before', async () => {
  const schedule = scheduleSchema.parse({ every: '1h' });
  const held = [{ approve: {} }, { rotate: {} }];
  const uid = await stage.policy('orders', held, { schedule });
  const free = await stage.policy('carts', held, { schedule });
  const { ledger } = stage.test;
  const now = async () => (await ledgerNow(ledger)).getTime();
  const ticked = async (inMs = 0) => {
    const clock = new FakeClock(new Date((await now()) + 2 * 3_600_000 + inMs).toISOString());
    await tick({
      ledger,
      clock,
      log: silentLog,
      nextDue: (transaction, policy) => dueOf(transaction, policy as Policy<PolicySpec>, clock.now()),
      start: (transaction, policy) =>
        createRotationOf(
          stage.orchestrator,
          transaction,
          policy as Policy<PolicySpec>,
          'schedule',
          'scheduler',
        ),
      wake: async () => undefined,
    });
  };
  const incident = await stage.report(['orders']);
  await ticked();
  expect(await rotations('carts')).toMatchObject([{ policyUid: free, trigger: 'schedule' }]);
  expect(await rotations('orders')).toEqual([]);
  const { dueReason, nextDueAt } = await getPolicy(ledger, 'shop/orders');
  expect(dueReason).toContain(`not before incident ${incident} ends`);
  expect(nextDueAt).toBeDefined();
  await ticked(120_000);
  expect(await rotations('orders')).toEqual([]);
  // Nor does a person come before those who have to approve.
  await expect(rotateNow(stage.orchestrator, 'shop/orders', 'token/alice')).rejects.toMatchObject({
    code: 'ledger.conflict',
    hint: `Approve it: rotor approve incident/${incident}`,
  });
  await endTarget(ledger, incident, uid, 'failed', 'approval expired');
  await ticked();
  expect(await rotations('orders')).toMatchObject([{ trigger: 'schedule' }]);
});
