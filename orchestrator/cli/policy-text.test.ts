import { expect, test } from 'vitest';
import type { PolicyJson } from './policy-text.ts';
import { policyText } from './policy-text.ts';

const now = new Date('2026-11-21T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1_000).toISOString();
const policy: PolicyJson = {
  namespace: 'shop',
  name: 'orders-db',
  paused: false,
  spec: {
    provider: 'shop-db',
    credential: { kind: 'postgres', spec: { mode: 'alternating-users', roles: ['a', 'b'] } },
    store: { name: 'vault', path: 'shop/orders-db' },
    deliver: [
      { kind: 'secret', spec: { namespaces: ['shop'], name: 'orders-db' } },
      { kind: 'file', spec: { path: '/run/orders.json' } },
    ],
    consumers: [{ name: 'orders', kind: 'rolling', spec: { deployment: 'orders' } }],
    schedule: {
      cron: '0 3 * * 0',
      timeZone: 'Europe/Berlin',
      jitter: 1_800_000,
      windows: [],
      blackouts: [],
      maxAge: 2_592_000_000,
    },
    settle: { graceMs: 300_000, evidence: 'sessions', timeoutMs: 3_600_000, onTimeout: 'roll-back' },
    deadlineMs: 1,
    suspend: false,
    onCompromise: { runbook: 'database-leak' },
  },
  credentialAgeSeconds: 86_400,
  lastRotatedAt: ago(86_400),
  nextDueAt: new Date(now.getTime() + 7_200_000).toISOString(),
  dueReason: 'cron 0 3 * * 0',
  drift: { open: ['secret shop/orders-db: field password was changed by kubectl-edit'] },
  versions: [
    { id: 'v2', state: 'current', identity: 'b', compromised: false, createdAt: ago(86_400) },
    {
      id: 'v1',
      state: 'revoked',
      identity: 'a',
      compromised: true,
      createdAt: ago(900_000),
      revokedAt: ago(86_000),
    },
  ],
  rotations: [
    {
      id: 'r1',
      state: 'done',
      trigger: 'schedule',
      createdAt: ago(86_400),
      startedAt: ago(86_400),
      durationMs: 4_200,
    },
  ],
};

test('a policy in words: what, where, for whom, when, and what became of it', () => {
  expect(policyText(policy, now).replace(/ +$/gm, '')).toBe(`\
policy        shop/orders-db
credential    postgres mode=alternating-users roles=["a","b"]; current for 1d
provider      shop-db
store         vault, path shop/orders-db
delivered to  secret namespaces=["shop"] name=orders-db
              file path=/run/orders.json
consumers     orders: rolling deployment=orders
schedule      cron 0 3 * * 0 (Europe/Berlin), at most 30d old, up to 30m later
next          in 2h (cron 0 3 * * 0)
last rotated  1d ago
old one dies  once nobody is seen using it, after 5m at least; rolls back after 1h
when it leaks runbook database-leak
drift         repair
              secret shop/orders-db: field password was changed by kubectl-edit

VERSION  STATE            IDENTITY  MADE         REVOKED
v2       current          b         1d ago       -
v1       revoked, leaked  a         10d 10h ago  23h 53m ago

ROTATION  TRIGGER   STATE  STARTED  TOOK
r1        schedule  done   1d ago   4s`);
});

test('what has never been rotated, and is held up, says so', () => {
  const fresh = { ...policy, versions: [], rotations: [], paused: true };
  const { credentialAgeSeconds: _age, lastRotatedAt: _last, nextDueAt: _next, ...rest } = fresh;
  const { schedule: _schedule, onCompromise: _runbook, ...spec } = policy.spec;
  const text = policyText({ ...rest, spec: { ...spec, deliver: [], consumers: [] } }, now);
  expect(text).toContain('policy        shop/orders-db (paused: rotor resume lets it go on)');
  expect(text).toContain('; none yet\n');
  expect(text).toMatch(/delivered to {2}none\nconsumers {5}none\nschedule {6}none: on demand/);
  expect(text).toContain('the built-in runbook');
  expect(text).toMatch(/no versions yet\n\nno rotations yet$/);
});
