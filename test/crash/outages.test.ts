import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, expect, inject, test } from 'vitest';
import { requestCancel } from '../../ledger/rotations.ts';
import { queueBackends } from './backends.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.stop();
  stage = undefined;
});

const postgresQueue = (ledgerUrl: string) => ledgerUrl;

for (const { name, url, skipped } of queueBackends()) {
  test.skipIf(skipped)(
    `a queue emptied in mid-rotation costs a sweep, not the rotation (${name})`,
    async () => {
      stage = await setStage(url);
      const id = await stage.startRotation({ settle: { ...stage.spec.settle, graceMs: 2_000 } });
      await stage.startWorker();
      await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
      await emptyQueue(url(stage.test.url.reveal()));
      const rotation = await stage.ended(id);
      expect(rotation).toMatchObject({ state: 'done', recovered: false });
      expect(stage.client.refusals).toEqual([]);
    },
  );
}

test('connections of ledger and provider all cut in mid-rotation: it goes on by itself', async () => {
  stage = await setStage(postgresQueue);
  const id = await stage.startRotation({ settle: { ...stage.spec.settle, graceMs: 1_500 } });
  await stage.startWorker();
  await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
  const { app } = stage;
  const cutting = new pg.Client({ connectionString: inject('postgresUrl') });
  await cutting.connect();
  const ledgerName = new URL(stage.test.url.reveal()).pathname.slice(1);
  for (let times = 0; times < 3; times += 1) {
    await cutting.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 OR (datname = $2 AND usename = $3)`,
      [ledgerName, app.name, app.admin],
    );
  }
  await cutting.end();
  expect(await stage.ended(id)).toMatchObject({ state: 'done' });
  expect(stage.client.refusals).toEqual([]);
});

test('a cancelled rotation rolls back while it waits', async () => {
  stage = await setStage(postgresQueue);
  const id = await stage.startRotation({ settle: { ...stage.spec.settle, graceMs: 60_000 } });
  await stage.startWorker();
  await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
  await requestCancel(stage.test.ledger, id, 'test');
  expect(await stage.ended(id)).toMatchObject({
    state: 'rolled-back',
    error: { code: 'rotation.cancelled' },
  });
  expect(stage.client.held().username).toBe(stage.app.roles[0]);
  expect(stage.client.refusals).toEqual([]);
});

test('a credential that somebody still uses is not revoked: the rotation rolls back and names the session', async () => {
  stage = await setStage(postgresQueue);
  const { app } = stage;
  const stray = new pg.Client({
    host: '127.0.0.1',
    port: app.port,
    database: app.name,
    user: app.initial.username,
    password: app.initial.password,
    application_name: 'forgotten-cron-job',
  });
  await stray.connect();
  const id = await stage.startRotation({ settle: { ...stage.spec.settle, timeoutMs: 1_000 } });
  await stage.startWorker();
  const rotation = await stage.ended(id);
  expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'settle.still-used' } });
  expect(rotation.error?.what).toContain('forgotten-cron-job');
  expect((await stray.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await stray.end();
  expect(stage.client.refusals).toEqual([]);
});

test('a full or unwritable target: the rotation rolls back and says where', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-gone-'));
  await chmod(folder, 0o700);
  stage = await setStage(postgresQueue);
  const target = { kind: 'file', spec: { path: join(folder, 'sub', 'credential.json'), format: 'json' } };
  const id = await stage.startRotation({ deliver: [...stage.spec.deliver, target] });
  await stage.startWorker();
  const rotation = await stage.ended(id);
  expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'delivery.failed' } });
  expect(rotation.error?.what).toContain(folder);
  await rm(folder, { recursive: true });
});

async function emptyQueue(url: string): Promise<void> {
  if (url.startsWith('redis')) {
    const redis = new Redis(url);
    await redis.flushall();
    redis.disconnect();
    return;
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'rotor_queue' AND tablename !~ 'migration'`,
    );
    const truncate = `TRUNCATE ${rows.map(({ name }) => name).join(', ')} CASCADE`;
    // The queue at work takes its locks in another order, and the server may choose us as the victim.
    const emptied = () =>
      client.query(truncate).then(
        () => 'emptied',
        (error) => error.code,
      );
    await expect.poll(emptied, { timeout: 20_000, interval: 10 }).toBe('emptied');
  } finally {
    await client.end();
  }
}
