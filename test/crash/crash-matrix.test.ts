import { afterEach, describe, expect, test } from 'vitest';
import { listVersions } from '../../ledger/versions.ts';
import { undoOrder } from '../../workers/saga/answer.ts';
import { STEPS } from '../../workers/saga/steps.ts';
import { sampled } from '../setup/matrix.ts';
import { queueBackends } from './backends.ts';
import { isStopped, LEASE_MS, type Stage, setStage } from './stage.ts';

/** Every journal boundary, and the moment between an effect and its record. */
const FORWARD = STEPS.flatMap((step) => [
  ...(step === 'plan' ? [] : [`forward:${step}:announced`]),
  `forward:${step}:performed`,
]);
const touched = STEPS.slice(0, STEPS.indexOf('settle'));
const BACK = undoOrder(touched, 'two-identities').flatMap((step) => [
  `back:${step}:announced`,
  `back:${step}:performed`,
]);

/** Where a worker is stopped until its lease is over. */
const SLEEPS = [
  'forward:install:announced',
  'forward:publish:announced',
  'forward:deliver:performed',
  'forward:revoke:announced',
];

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.stop();
  stage = undefined;
});

describe.each(queueBackends())('workers killed with SIGKILL, queue on $name', ({ name, url, skipped }) => {
  // Every boundary on the queue that needs no server; what the other could do differently shows at some of them.
  const every = name === 'PostgreSQL' ? 1 : 5;
  test.skipIf(skipped)(
    'at every boundary of one rotation in turn: it ends done, nobody was refused',
    { timeout: 180_000 },
    async () => {
      stage = await setStage(url);
      const id = await stage.startRotation();
      for (const point of sampled(FORWARD, every)) {
        const worker = await stage.startWorker({ point, signal: 'SIGKILL' });
        expect(await worker.exited, `${point}\n${worker.output()}\n${await stage.journal(id)}`).toBe(
          'SIGKILL',
        );
      }
      await stage.startWorker();
      const rotation = await stage.ended(id);
      const told = await stage.journal(id);
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      await expectMoved(stage, rotation.newVersion, told);
    },
  );

  test.skipIf(skipped)(
    'at every boundary of a rotation that rolls back: consumers are where they were',
    { timeout: 180_000 },
    async () => {
      stage = await setStage(url);
      const { client, app } = stage;
      client.healthyWith = (versionId) => versionId === 'v0' || versionId === firstVersion;
      let firstVersion = '';
      const id = await stage.startRotation();
      const planned = await stage.startWorker({ point: 'forward:generate:announced', signal: 'SIGKILL' });
      await planned.exited;
      firstVersion =
        (await listVersions(stage.test.ledger, await policyOf(stage, id))).find(
          ({ state }) => state === 'current',
        )?.id ?? '';
      for (const point of sampled(BACK, every)) {
        const worker = await stage.startWorker({ point, signal: 'SIGKILL' });
        expect(await worker.exited, `${point}\n${worker.output()}\n${await stage.journal(id)}`).toBe(
          'SIGKILL',
        );
      }
      await stage.startWorker();
      const rotation = await stage.ended(id);
      const told = await stage.journal(id);
      expect(rotation, told).toMatchObject({
        state: 'rolled-back',
        recovered: true,
        error: { code: 'rollout.unhealthy' },
      });
      expect(client.refusals, told).toEqual([]);
      expect(client.held().username).toBe(app.roles[0]);
      expect(await canLogIn(stage, app.roles[1]), told).toBe(false);
      expect(await stage.storedPassword()).toBe(app.initial.password);
    },
  );

  test.skipIf(skipped)(
    'with another worker alive it is taken over within the lease plus one second',
    async () => {
      stage = await setStage(url, { leasesByTime: true });
      const id = await stage.startRotation();
      const first = await stage.startWorker({ point: 'forward:deliver:performed', signal: 'SIGKILL' });
      await stage.startWorker();
      await first.exited;
      const diedAt = Date.now();
      const rotation = await stage.ended(id);
      expect(rotation).toMatchObject({ state: 'done' });
      if (rotation.recovered)
        expect((rotation.endedAt?.getTime() ?? 0) - diedAt).toBeLessThan(LEASE_MS + 5_000);
      await expectMoved(stage, rotation.newVersion, await stage.journal(id));
    },
  );

  test.skipIf(skipped).each(sampled(SLEEPS, 2))(
    'a worker that slept past its lease at %s and then went on changes nothing',
    async (point) => {
      stage = await setStage(url);
      const id = await stage.startRotation();
      const sleeper = await stage.startWorker({ point, signal: 'SIGSTOP' });
      await expect.poll(() => isStopped(sleeper.pid), { timeout: 20_000 }).toBe(true);
      await stage.startWorker();
      const rotation = await stage.ended(id);
      const told = await stage.journal(id);
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      sleeper.process.kill('SIGCONT');
      await expect.poll(() => sleeper.output(), { timeout: 20_000 }).toContain('the rotation was let go');
      expect(await stage.journal(id)).toBe(told);
      await expectMoved(stage, rotation.newVersion, told);
    },
  );

  test.skipIf(skipped)('duplicate and late jobs change nothing', async () => {
    stage = await setStage(url);
    const id = await stage.startRotation();
    await Promise.all([stage.startWorker(), stage.startWorker()]);
    for (let n = 0; n < 20; n += 1) await stage.queue.wake(id, `duplicate_${n}`);
    const rotation = await stage.ended(id);
    const told = await stage.journal(id);
    for (let n = 0; n < 20; n += 1) await stage.queue.wake(id, `late_${n}`);
    const next = await stage.startRotation();
    expect((await stage.ended(next)).state).toBe('done');
    expect(await stage.journal(id)).toBe(told);
    expect(rotation).toMatchObject({ state: 'done', recovered: false });
    expect(stage.client.refusals).toEqual([]);
  });

  test.skipIf(skipped)('SIGTERM hands a waiting rotation over, and the worker ends by itself', async () => {
    stage = await setStage(url);
    const { settle } = stage.spec;
    const id = await stage.startRotation({ settle: { ...settle, graceMs: 2_000 } });
    const first = await stage.startWorker();
    await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
    first.process.kill('SIGTERM');
    expect(await first.exited).toBeNull();
    await stage.startWorker();
    expect(await stage.ended(id)).toMatchObject({ state: 'done', recovered: false });
  });
});

async function expectMoved(on: Stage, newVersion: string | undefined, told: string): Promise<void> {
  const { client, app } = on;
  expect(client.refusals, told).toEqual([]);
  expect(client.queries, told).toBeGreaterThan(10);
  expect(client.held(), told).toMatchObject({ username: app.roles[1], versionId: newVersion });
  expect(await on.storedPassword(), told).toBe(client.held().password);
  expect(await canLogIn(on, app.roles[0]), told).toBe(false);
}

async function canLogIn({ app }: Stage, role: string): Promise<boolean> {
  const [row] = await app.sql<{ rolcanlogin: boolean }>(
    `SELECT rolcanlogin FROM pg_roles WHERE rolname = '${role}'`,
  );
  return row?.rolcanlogin ?? false;
}

async function policyOf(on: Stage, id: string): Promise<string> {
  const [row] = await on.test.ledger.query<{ policy_uid: string }>(
    'SELECT policy_uid FROM rotor.rotations WHERE id = $1',
    [id],
  );
  return row?.policy_uid ?? '';
}
