import { chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { sampled } from '../setup/matrix.ts';
import { noSmallDisk, type SmallDisk, smallDisk } from '../setup/small-disk.ts';
import { startTcpProxy } from '../setup/tcp-proxy.ts';
import { isStopped, type Stage, setStage } from './stage.ts';

let stage: Stage | undefined;
let disk: SmallDisk | undefined;
afterEach(async () => {
  await stage?.stop();
  await disk?.unmount();
  stage = undefined;
  disk = undefined;
});

const sameServer = (ledgerUrl: string) => ledgerUrl;
/** A server that is away refuses nobody's password. */
const denied = () =>
  stage?.client.refusals.filter((message) => /authentication|password|login/i.test(message));

describe('the server of ledger, queue and target falls over in the middle of a step', () => {
  let folder: string;
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-falls-'));
    await rm(folder, { recursive: true });
    server = await startEmbeddedPostgres({ folder });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Immediate shutdown: no checkpoint, what wasn't flushed is lost, the next start recovers from the log. */
  async function fallOver(): Promise<void> {
    process.kill(server.pid, 'SIGQUIT');
    await expect.poll(() => isAlive(server.pid), { timeout: 10_000 }).toBe(false);
    server = await startEmbeddedPostgres({ folder, port: server.port });
  }

  const points = [
    'forward:generate:performed',
    'forward:install:performed',
    'forward:verify:announced',
    'forward:publish:announced',
    'forward:deliver:performed',
    'forward:revoke:announced',
    'forward:revoke:performed',
    'forward:prove:performed',
  ];
  test.each(sampled(points, 3))(
    'at %s: the rotation goes on by itself',
    { timeout: 60_000 },
    async (point) => {
      stage = await setStage(sameServer, { server: server.url() });
      const worker = await stage.startWorker({ point, signal: 'SIGSTOP' });
      const id = await stage.startRotation();
      await expect.poll(() => isStopped(worker.pid), { timeout: 20_000 }).toBe(true);
      await fallOver();
      process.kill(worker.pid, 'SIGCONT');
      const rotation = await stage.ended(id);
      expect(rotation.state, await stage.journal(id)).toBe('done');
      expect(stage.client.held().versionId).toBe(rotation.newVersion);
      expect(denied()).toEqual([]);
    },
  );
});

describe('the ledger loses messages', () => {
  const STEPS = sampled(
    ['generate', 'install', 'publish', 'deliver', 'rollout', 'settle', 'revoke', 'prove', 'rotation.done'],
    3,
  );

  test.each([
    ['the answer to the COMMIT', 'cutAfter'],
    ['the request', 'cutBefore'],
  ] as const)(
    '%s, at every transition: recorded once, and the rotation goes on',
    { timeout: 90_000 },
    async (_what, cut) => {
      const proxy = await startTcpProxy(Number(new URL(inject('postgresUrl')).port));
      try {
        stage = await setStage(sameServer, { ledgerPort: proxy.port });
        await stage.startWorker();
        for (const step of STEPS) {
          proxy[cut](step);
          const id = await stage.startRotation();
          const rotation = await stage.ended(id);
          const journal = await stage.journal(id);
          expect(rotation.state, `${step}\n${journal}`).toBe('done');
          expect(proxy.pending(), `nothing was cut at ${step}\n${journal}`).toBe(false);
          expect(journal.match(/ install done /g), journal).toHaveLength(1);
        }
      } finally {
        await proxy.close();
      }
      expect(stage?.client.refusals).toEqual([]);
    },
  );
});

describe.skipIf(noSmallDisk)(`a disk that is full${noSmallDisk ? ` (skipped: ${noSmallDisk})` : ''}`, () => {
  test("the store's: the rotation rolls back and names it, and the next one works", async () => {
    disk = await smallDisk('256k');
    stage = await setStage(sameServer, { storeFolder: disk.folder });
    await stage.startWorker();
    await disk.fill();
    const rotation = await stage.ended(await stage.startRotation());
    expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'store.full' } });
    expect(rotation.error?.what).toContain(disk.folder);
    expect(rotation.error?.what).toMatch(/no space/);
    await disk.free();
    expect(await stage.ended(await stage.startRotation())).toMatchObject({ state: 'done' });
    expect(stage.client.refusals).toEqual([]);
  });

  test("a target's: the rotation rolls back and names it, what was there stays, and the next one works", async () => {
    disk = await smallDisk('64k');
    stage = await setStage(sameServer);
    const path = join(disk.folder, 'credential.json');
    const deliver = [...stage.spec.deliver, { kind: 'file', spec: { path, format: 'json' } }];
    await stage.startWorker();
    expect(await stage.ended(await stage.startRotation({ deliver }))).toMatchObject({ state: 'done' });
    const before = await readFile(path, 'utf8');
    await disk.fill();
    const rotation = await stage.ended(await stage.startRotation({ deliver }));
    expect(await readFile(path, 'utf8')).toBe(before);
    expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'delivery.failed' } });
    expect(rotation.error?.what).toContain(path);
    expect(rotation.error?.what).toMatch(/no space/);
    await disk.free();
    expect(await stage.ended(await stage.startRotation({ deliver }))).toMatchObject({ state: 'done' });
    expect(stage.client.refusals).toEqual([]);
  });

  test("the ledger's: the rotation waits for space and goes on", { timeout: 60_000 }, async () => {
    disk = await smallDisk('1m');
    stage = await setStage(sameServer);
    const { ledger } = stage.test;
    const [found] = await ledger.query<{ data: string }>(`SELECT current_setting('data_directory') AS data`);
    const { uid, gid } = await stat(found?.data ?? '');
    await chown(disk.folder, uid, gid);
    const name = `small_${Date.now()}`;
    await ledger.query(`CREATE TABLESPACE ${name} LOCATION '${disk.folder}'`);
    await ledger.query(`ALTER TABLE rotor.journal SET TABLESPACE ${name}`);
    await disk.fill();
    // Fill the pages that the table has already.
    const fillers = `INSERT INTO rotor.journal (rotation_id, seq, epoch, step) SELECT gen_random_uuid(), 1, 0, repeat('x', 500)`;
    await expect
      .poll(
        () =>
          ledger.query(fillers).then(
            () => 'fits',
            (error) => error.message,
          ),
        { interval: 1, timeout: 10_000 },
      )
      .toContain('no disk space left');
    const id = await stage.startRotation();
    const worker = await stage.startWorker();
    await expect.poll(() => worker.output(), { timeout: 20_000 }).toContain('no disk space left');
    await disk.free();
    const rotation = await stage.ended(id);
    expect(rotation.state, await stage.journal(id)).toBe('done');
    expect(stage.client.refusals).toEqual([]);
    await ledger.query(`ALTER TABLE rotor.journal SET TABLESPACE pg_default`);
    await ledger.query(`DROP TABLESPACE ${name}`);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
