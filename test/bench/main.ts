/**
 * Everything that is measured, in one run on one machine: npm run bench [-- --json] [-- --only ac]. What the rows mean: docs/bench.md.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Redis } from 'ioredis';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Ledger, migrateLedger, openLedger } from '../../ledger/database.ts';
import { startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { lookupAmong, requestsAmong } from './consumers.ts';
import { startDbos } from './dbos.ts';
import { runEmptySagas } from './empty-saga.ts';
import { measureFunctions } from './functions.ts';
import { runHandWritten } from './hand-written.ts';
import { incidentTimes } from './incidents.ts';
import { memoryOf } from './memory.ts';
import { compareRotation, median } from './rotation.ts';
import { throughput } from './throughput.ts';
import { tickWith } from './ticks.ts';
import { timingOfForgeries } from './timing.ts';

interface Row {
  readonly name: string;
  readonly value: string;
  readonly target?: string;
  readonly met?: boolean;
}

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string', default: 'abcdefklt' } },
});
const measures = (part: string) => options.only.includes(part);
const rows: Row[] = [];
const results: Record<string, unknown> = {};
const folder = await mkdtemp(join(tmpdir(), 'rotor-bench-'));
await chmod(folder, 0o755);
const postgres = await startEmbeddedPostgres({ folder: join(folder, 'postgres') });
const redis = await startRedis();
const ledger = await openFresh('bench');
const tell = (line: string) => process.stderr.write(`${line}\n`);
try {
  if (measures('a')) {
    tell('(a) a full rotation against the bare sequence of the same calls ...');
    const { rotor, bare } = await compareRotation(ledger, postgres.url(), folder, 21);
    const ratio = rotor / bare;
    rows.push({
      name: '(a) full rotation / bare sequence',
      value: `${ratio.toFixed(2)} (${rotor.toFixed(0)} ms / ${bare.toFixed(0)} ms)`,
      target: '<= 1.5',
      met: ratio <= 1.5,
    });
    results.a = { rotorMs: rotor, bareMs: bare, ratio };
  }
  if (measures('c')) {
    tell('(c) six empty steps against DBOS and a hand-written loop ...');
    results.c = await compareEngines();
  }
  if (measures('b')) {
    tell('(b) rotations a second through the queue ...');
    results.b = await compareQueues();
  }
  if (measures('d')) {
    tell('(d) a tick with ten thousand to a million policies ...');
    results.d = await compareTicks();
  }
  if (measures('l')) {
    tell('(l) from a webhook to a proven refusal ...');
    const on = await openFresh('bench_leaks');
    const times = await incidentTimes(on, postgres.url('bench_leaks'), folder);
    await on.close();
    for (const [when, { p50, p99 }] of [
      ['idle', times.idle],
      ['a thousand rotations in the queue', times.busy],
    ] as const)
      rows.push({
        name: `(l) webhook to proven refusal, ${when}`,
        value: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
        target: 'p99 < 250 ms',
        met: p99 < 250,
      });
    const { idle, byHand, thousand, thousandByHand } = times;
    rows.push({
      name: '(l) webhook to proven refusal, idle: Rotor / the same calls by hand',
      value: `${(idle.p50 / byHand).toFixed(1)} (${idle.p50.toFixed(0)} ms / ${byHand.toFixed(0)} ms)`,
    });
    rows.push({
      name: '(l) a thousand credentials in one report, all refused',
      value: `${(thousand / 1_000).toFixed(1)} s`,
      target: '< 10 s',
      met: thousand < 10_000,
    });
    rows.push({
      name: '(l) a thousand credentials: Rotor / the same calls by hand',
      value: `${(thousand / thousandByHand).toFixed(1)} (${(thousand / 1_000).toFixed(1)} s / ${(thousandByHand / 1_000).toFixed(1)} s)`,
    });
    results.l = times;
  }
  if (measures('e')) {
    tell('(e) memory ...');
    const memory = await memoryOf(postgres.url('bench'), folder);
    for (const [process_, mebibytes] of Object.entries(memory))
      rows.push({
        name: `(e) memory of ${process_}, idle`,
        value: mebibytes === undefined ? 'unknown here' : `${mebibytes.toFixed(0)} MiB`,
      });
    results.e = memory;
  }
  if (measures('f')) {
    tell('(f) size and cold start of the rotation functions ...');
    const measured = await measureFunctions(folder);
    for (const { name, zipBytes, coldMs } of measured.functions)
      rows.push({
        name: `(f) ${name}: zip, and cold start to its first call`,
        value: `${(zipBytes / 1_024).toFixed(0)} KiB, ${coldMs.toFixed(0)} ms (bare Node ${measured.bareMs.toFixed(0)} ms)`,
        target: '<= 1536 KiB',
        met: zipBytes <= 1_536 * 1_024,
      });
    results.f = measured;
  }
  if (measures('k')) {
    tell('(k) the consumers of a Secret among five thousand workloads ...');
    results.k = await compareConsumers();
  }
  if (measures('t')) {
    tell('(t) whether times tell forged requests apart ...');
    const compared = await timingOfForgeries(ledger, folder);
    for (const { what, t, ratio, microseconds } of compared)
      rows.push({
        name: `(t) ${what}`,
        value: `${ratio.toFixed(3)} (${microseconds.toFixed(0)} us), t ${t.toFixed(1)}`,
        target: '|t| < 4.5',
        met: Math.abs(t) < 4.5,
      });
    results.t = compared;
  }
} finally {
  await ledger.close();
  if ('stop' in redis) redis.stop();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

const machine = {
  cores: availableParallelism(),
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
};
if (!options.json) {
  const table = new Table({ head: ['what', 'value', 'target', 'met'], style: { head: [], border: [] } });
  for (const { name, value, target, met } of rows)
    table.push([name, value, target ?? '', met === undefined ? '' : met ? 'yes' : 'NO']);
  process.stdout.write(`${table.toString()}\n${JSON.stringify(machine)}\n`);
} else {
  process.stdout.write(`${JSON.stringify({ machine, rows, results })}\n`);
}

/** Each round runs all three close together, so that a slow moment of the machine hits them alike; ratios are the median of the rounds'. */
async function compareEngines(): Promise<object> {
  const rates: Record<
    string,
    { rotor: number; handWritten: number; dbos: number; overHand: number; overDbos: number }
  > = {};
  const url = postgres.url('bench');
  const dbos = await startDbos(url);
  for (const { concurrency, count } of [
    { concurrency: 1, count: 100 },
    { concurrency: 20, count: 600 },
  ]) {
    const rounds: { rotor: number; hand: number; dbos: number }[] = [];
    const perSecond = (sagas: number, ms: number) => (sagas / ms) * 1_000;
    const rotor = async () => perSecond(count, await runEmptySagas(ledger, count, concurrency));
    const hand = async () => perSecond(count, await runHandWritten(url, count, concurrency));
    for (let round = 0; round < 11; round += 1) {
      const others = perSecond(count / 2, await dbos.run(count / 2, concurrency));
      // In turn, so that neither is always the one right after DBOS.
      const [first, second] = round % 2 ? [await rotor(), await hand()] : [await hand(), await rotor()];
      if (round > 0)
        rounds.push({ dbos: others, rotor: round % 2 ? first : second, hand: round % 2 ? second : first });
    }
    const overHand = median(rounds.map((round) => round.rotor / round.hand));
    const overDbos = median(rounds.map((round) => round.rotor / round.dbos));
    const [ours, handWritten, theirs] = (['rotor', 'hand', 'dbos'] as const).map((who) =>
      median(rounds.map((round) => round[who])),
    ) as [number, number, number];
    rates[concurrency] = { rotor: ours, handWritten, dbos: theirs, overHand, overDbos };
    const at = `six empty steps, concurrency ${concurrency}`;
    rows.push({
      name: `(c) ${at}: Rotor / DBOS`,
      value: `${overDbos.toFixed(1)} (${ours.toFixed(0)} / ${theirs.toFixed(0)} a second)`,
      target: '>= 4',
      met: overDbos >= 4,
    });
    rows.push({
      name: `(c) ${at}: Rotor / hand-written`,
      value: `${overHand.toFixed(2)} (${ours.toFixed(0)} / ${handWritten.toFixed(0)} a second)`,
      target: '>= 0.7',
      met: overHand >= 0.7,
    });
  }
  await dbos.stop();
  return rates;
}

async function compareQueues(): Promise<object> {
  const rates: Record<string, number | string> = {};
  for (const fsync of [true, false]) {
    const name = fsync ? 'bench_sync' : 'bench_async';
    const on = await openFresh(name, fsync ? {} : { synchronous_commit: 'off' });
    const backends = { PostgreSQL: postgres.url(name), Redis: 'url' in redis ? redis.url : undefined };
    for (const [backend, url] of Object.entries(backends)) {
      for (const concurrency of [1, 8, 32]) {
        const label = `(b) rotations a second, queue on ${backend}, concurrency ${concurrency}, ${fsync ? 'with' : 'without'} fsync`;
        const rate =
          url === undefined
            ? undefined
            : await throughput(on, url, concurrency === 1 ? 60 : 300, concurrency);
        rates[label] = rate ?? 'skipped';
        rows.push({
          name: label,
          value: rate === undefined ? `skipped: ${'skipped' in redis ? redis.skipped : ''}` : rate.toFixed(0),
        });
      }
    }
    await on.close();
  }
  return rates;
}

async function compareTicks(): Promise<object> {
  const on = await openFresh('bench_ticks');
  const ticks: Record<string, { none: number; due: number }> = {};
  for (const policies of [10_000, 100_000, 1_000_000]) {
    const measured = await tickWith(on, policies);
    ticks[policies] = measured;
    rows.push({
      name: `(d) tick, ${policies} policies`,
      value: `none due ${measured.none.toFixed(1)} ms, 100 due ${measured.due.toFixed(0)} ms`,
    });
  }
  await on.close();
  const ratio = (ticks[1_000_000]?.none ?? 0) / (ticks[10_000]?.none ?? 1);
  rows.push({
    name: '(d) tick, none due: a million policies / ten thousand',
    value: ratio.toFixed(2),
    target: '<= 2',
    met: ratio <= 2,
  });
  return { ...ticks, ratio };
}

async function compareConsumers(): Promise<object> {
  const lookup = await lookupAmong(5_000);
  const few = await requestsAmong(10);
  const many = await requestsAmong(5_000);
  rows.push({
    name: '(k) finding the consumers of a Secret, 5000 workloads, 10000 pods',
    value: `p50 ${lookup.p50.toFixed(3)} ms, p99 ${lookup.p99.toFixed(3)} ms (warm after ${lookup.warmUp.toFixed(0)} ms)`,
    target: 'p99 < 5 ms',
    met: lookup.p99 < 5,
  });
  rows.push({
    name: '(k) requests of a rotation with 1 consumer among 5000 workloads / among 10',
    value: `${many.requests} / ${few.requests} (and ${many.watches} / ${few.watches} watches begun anew)`,
    target: 'equal',
    met: many.requests === few.requests,
  });
  return { lookup, few, many };
}

async function openFresh(name: string, settings: Readonly<Record<string, string>> = {}): Promise<Ledger> {
  const server = openLedger({ url: SecretValue.of(postgres.url()), log: silentLog, connections: 1 });
  await server.query(`CREATE DATABASE ${name}`);
  await server.close();
  const url = SecretValue.of(postgres.url(name));
  await migrateLedger(url, silentLog);
  return openLedger({ url, log: silentLog, connections: 40, settings });
}

async function startRedis(): Promise<{ url: string; stop: () => void } | { skipped: string }> {
  const port = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
  const child = spawn(
    'redis-server',
    [
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
    ],
    { stdio: 'ignore' },
  );
  const missing = new Promise<'missing'>((resolve) => child.on('error', () => resolve('missing')));
  const client = new Redis(port, '127.0.0.1', { retryStrategy: (times) => (times < 50 ? 50 : null) });
  client.on('error', () => undefined);
  const found = await Promise.race([missing, client.ping()]);
  client.disconnect();
  if (found === 'missing') return { skipped: 'no redis-server on the PATH' };
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill() };
}
