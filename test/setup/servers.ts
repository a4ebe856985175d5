import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { migrateLedger } from '../../ledger/database.ts';
import { startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { LEDGER_TEMPLATE } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Superuser URL of the shared PostgreSQL; each suite makes a database of its own (test/setup/postgres.ts). */
    postgresUrl: string;
    /** Redis of the tests, or why there is none. */
    redis: { url: string } | { skipped: string };
  }
}

/** Starts what the suites share: one PostgreSQL (no fsync: crashes of the machine aren't tested) and, if installed, one Redis. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-test-'));
  await chmod(folder, 0o755);
  // Whatever tests leave behind, killed ones above all, goes with this folder. Servers run as other users, too.
  process.env.TMPDIR = join(folder, 'tmp');
  await mkdir(process.env.TMPDIR);
  await chmod(process.env.TMPDIR, 0o1777);
  // The crash suites start hundreds of processes; what one has compiled, the next takes over.
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compiled');
  const postgres = await startEmbeddedPostgres({
    folder: join(folder, 'postgres'),
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' },
  });
  project.provide('postgresUrl', postgres.url());
  await makeLedgerTemplate(postgres.url());
  const redis = await startRedis();
  project.provide('redis', 'url' in redis ? { url: redis.url } : redis);
  if ('skipped' in redis) process.stderr.write(`Redis suites are skipped: ${redis.skipped}\n`);
  return async () => {
    if ('stop' in redis) redis.stop();
    await postgres.stop();
    // The last process of the suites may still be writing what it compiled.
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
}

/** Suites copy it: that is faster than hundreds of times the same migrations. */
async function makeLedgerTemplate(server: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(`CREATE DATABASE ${LEDGER_TEMPLATE}`);
  await client.end();
  const url = new URL(server);
  url.pathname = `/${LEDGER_TEMPLATE}`;
  await migrateLedger(SecretValue.of(url.href), silentLog);
}

async function startRedis(): Promise<{ url: string; stop: () => void } | { skipped: string }> {
  const given = process.env.ROTOR_TEST_REDIS_URL;
  if (given) return { url: given, stop: () => undefined };
  const port = 20_000 + (process.pid % 20_000);
  const flags = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--maxmemory-policy',
    'noeviction',
  ];
  const child = spawn('redis-server', flags, { stdio: 'ignore' });
  const failed = new Promise<string>((resolve) => child.on('error', (error) => resolve(error.message)));
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: (times) => (times < 50 ? 50 : null),
  });
  client.on('error', () => undefined);
  const up = client.ping().then(() => undefined, String);
  const problem = await Promise.race([failed, up]);
  client.disconnect();
  if (problem === undefined) return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill() };
  return {
    skipped:
      'no redis-server on this machine (Debian: apt-get install redis-server), and ROTOR_TEST_REDIS_URL is not set',
  };
}
