import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createToken, ROLES, type Role } from '../../ledger/tokens.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { orchestratorOf } from '../../test/setup/orchestrator.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { createApi } from './api.ts';
import { routes } from './routes.ts';

let test_: TestLedger;
let orchestrator: Orchestrator;
let app: ReturnType<typeof createApi>;
const tokens: Partial<Record<Role, string>> = {};

beforeAll(async () => {
  test_ = await freshLedger();
  orchestrator = orchestratorOf(test_.ledger);
  for (const role of ROLES) tokens[role] = (await createToken(test_.ledger, role, role)).reveal();
});
afterAll(() => test_.drop());
beforeEach(() => {
  app = createApi(orchestrator, {
    metrics: async () => 'metrics',
    limits: { perToken: 10_000, strangers: 10_000 },
  });
});

const bearer = (role: Role) => ({ authorization: `Bearer ${tokens[role]}` });
const json = (body: unknown) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { ...bearer('admin'), 'content-type': 'application/json' },
});
const yaml = (body: string) => ({
  method: 'POST',
  body,
  headers: { ...bearer('admin'), 'content-type': 'application/yaml' },
});

const POLICY = (name: string) => `
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: ${name} }
spec:
  credential: { random: {} }
  store: { path: test/${name} }
`;

describe('every endpoint lets in its role and those above, and nobody else', () => {
  for (const { method, path, role } of routes) {
    const at = path
      .replace('{namespace}', 'default')
      .replace(/\{name\}/, 'nothing')
      .replace('{id}', randomUUID());
    test(`${method.toUpperCase()} ${path} is for ${role}`, async () => {
      const send = async (headers: Record<string, string>) => {
        const abort = new AbortController();
        const response = await app.request(at, {
          method: method.toUpperCase(),
          headers,
          signal: abort.signal,
        });
        if (path === '/v1/events') await response.body?.cancel();
        return response.status;
      };
      expect(await send({})).toBe(401);
      expect(await send({ authorization: 'Bearer wrong' })).toBe(401);
      for (const each of ROLES) {
        const status = await send(bearer(each));
        if (ROLES.indexOf(each) < ROLES.indexOf(role)) expect(status, each).toBe(403);
        else expect([401, 403], each).not.toContain(status);
      }
      await app.request('/v1/resume', { method: 'POST', headers: bearer('admin') });
    });
  }

  test('the OpenAPI document lists every one of them', async () => {
    const { paths } = (await (await app.request('/openapi.json')).json()) as {
      paths: Record<string, object>;
    };
    for (const { method, path } of routes) expect(Object.keys(paths[path] ?? {}), path).toContain(method);
  });
});

test('strangers are told nothing, and not often', async () => {
  app = createApi(orchestrator, { metrics: async () => '', limits: { perToken: 10_000, strangers: 2 } });
  const bodies: unknown[] = [];
  for (let n = 0; n < 2; n += 1) bodies.push(await (await app.request('/v1/policies/default/x')).json());
  expect(bodies[0]).toEqual(bodies[1]);
  expect(bodies[0]).toMatchObject({ code: 'api.unauthorized', what: 'a valid token is required' });
  const limited = await app.request('/v1/policies');
  expect(limited.status).toBe(429);
  expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('a token may ask so often, and then has to wait', async () => {
  app = createApi(orchestrator, { metrics: async () => '', limits: { perToken: 3, strangers: 1 } });
  const statuses: number[] = [];
  for (let n = 0; n < 6; n += 1)
    statuses.push((await app.request('/v1/policies', { headers: bearer('viewer') })).status);
  expect(statuses).toContain(200);
  expect(statuses.at(-1)).toBe(429);
});

test('an expired or revoked token is refused', async () => {
  const expired = (
    await createToken(test_.ledger, 'expired', 'admin', new Date(Date.now() - 1_000))
  ).reveal();
  expect(
    (await app.request('/v1/policies', { headers: { authorization: `Bearer ${expired}` } })).status,
  ).toBe(401);
  const made = (await (
    await app.request('/v1/tokens', json({ name: 'short', role: 'viewer', expiresIn: '1h' }))
  ).json()) as { token: string };
  const shown = { headers: { authorization: `Bearer ${made.token}` } };
  expect((await app.request('/v1/policies', shown)).status).toBe(200);
  await app.request('/v1/tokens/short', { method: 'DELETE', headers: bearer('admin') });
  expect((await app.request('/v1/policies', shown)).status).toBe(401);
});

test('bad input is named by its field and never repeated', async () => {
  const bad = await app.request('/v1/tokens', json({ name: 'UPPER marker-value', role: 'king' }));
  expect(bad.status).toBe(400);
  const said = await bad.text();
  expect(said).toContain('name, role');
  expect(said).not.toContain('marker-value');
  const manifest = await app.request('/v1/apply', yaml('kind: RotationPolicy\npassword: marker-value\n'));
  expect(manifest.status).toBe(400);
  const problems = await manifest.text();
  expect(problems).toContain('apiVersion');
  expect(problems).not.toContain('marker-value');
  expect((await app.request('/v1/rotations/not-a-uuid', { headers: bearer('viewer') })).status).toBe(400);
});

test('a body of more than a mebibyte is refused', async () => {
  const response = await app.request('/v1/apply', {
    method: 'POST',
    body: 'x'.repeat(1024 * 1024 + 1),
    headers: { ...bearer('admin'), 'content-length': String(1024 * 1024 + 1) },
  });
  expect(response.status).toBe(413);
});

test('a dry run tells what would change and changes nothing', async () => {
  const text = POLICY('dry');
  const dry = await app.request('/v1/apply?dryRun=true', yaml(text));
  expect(await dry.json()).toEqual({
    applied: [{ object: 'RotationPolicy default/dry', result: 'created' }],
  });
  expect((await app.request('/v1/policies/default/dry', { headers: bearer('viewer') })).status).toBe(404);
  for (const result of ['created', 'unchanged']) {
    expect(await (await app.request('/v1/apply', yaml(text))).json()).toMatchObject({
      applied: [{ result }],
    });
  }
});

test('a second rotation of one policy is a conflict that names the first', async () => {
  await app.request('/v1/apply', yaml(POLICY('once')));
  const rotate = () =>
    app.request('/v1/policies/default/once/rotate', { method: 'POST', headers: bearer('operator') });
  const { rotation } = (await (await rotate()).json()) as { rotation: string };
  const second = await rotate();
  expect(second.status).toBe(409);
  expect(await second.text()).toContain(rotation);
  const missing = await app.request('/v1/policies/default/none/rotate', {
    method: 'POST',
    headers: bearer('operator'),
  });
  expect(missing.status).toBe(404);
});

test('a fingerprint look-up finds the version and leaves the secret nowhere', async () => {
  const secret = 'marker-of-a-leaked-secret';
  const { uid } = await applyPolicy(test_.ledger, {
    uid: randomUUID(),
    namespace: 'default',
    name: 'leaky',
    spec: {},
  });
  const id = randomUUID();
  const fingerprint = SecretValue.of(secret).fingerprint(orchestrator.fingerprintKey);
  await test_.ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, fingerprint) VALUES ($1, $2, 'current', $3)`,
    [id, uid, fingerprint],
  );
  const found = await (await app.request('/v1/fingerprint', json({ secret }))).text();
  expect(found).toContain(id);
  expect(found).not.toContain(secret);
  const audit = await (await app.request('/v1/audit/export', { headers: bearer('viewer') })).text();
  expect(audit).toContain('fingerprint.looked-up');
  expect(audit).not.toContain(secret);
});

test('what changes something is in the audit trail under the name of the token', async () => {
  await app.request('/v1/pause', { method: 'POST', headers: bearer('operator') });
  await app.request('/v1/resume', { method: 'POST', headers: bearer('operator') });
  const audit = await (await app.request('/v1/audit/export', { headers: bearer('viewer') })).text();
  expect(audit).toMatch(/"actor":"token\/operator","action":"policy.paused"/);
  expect(audit).toMatch(/"actor":"token\/operator","action":"policy.resumed"/);
  expect(await (await app.request('/v1/audit/verify', { headers: bearer('viewer') })).json()).toMatchObject({
    verified: true,
  });
});

test('health, readiness and metrics are open; pages carry no script and may not be framed', async () => {
  for (const path of ['/healthz', '/readyz', '/metrics'])
    expect((await app.request(path)).status, path).toBe(200);
  const { headers } = await app.request('/nowhere');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(headers.get('access-control-allow-origin')).toBeNull();
});
