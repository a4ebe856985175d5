import { expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { createHealthApi } from './health.ts';

const api = (ready: () => Promise<unknown>) =>
  createHealthApi(silentLog, { ready, metrics: async () => 'rotor_x 1\n' });

test('a worker that can work says so, and shows its metrics', async () => {
  const app = api(async () => undefined);
  for (const path of ['/healthz', '/readyz']) expect((await app.request(path)).status).toBe(200);
  expect(await (await app.request('/metrics')).text()).toBe('rotor_x 1\n');
});

test('one that lost its ledger is alive but not ready, and says nothing of where the ledger is', async () => {
  const app = api(async () => {
    const cause = new Error('connect ECONNREFUSED 10.1.2.3:5432');
    throw new RotorError('ledger.unavailable', { what: "the ledger's database can't be reached", cause });
  });
  expect((await app.request('/healthz')).status).toBe(200);
  const answer = await app.request('/readyz');
  expect(answer.status).toBe(503);
  expect(await answer.text()).not.toContain('10.1.2.3');
});

test('there is no API behind it', async () => {
  const app = api(async () => undefined);
  for (const path of ['/v1/policies', '/openapi.json', '/'])
    expect((await app.request(path)).status).toBe(404);
});
