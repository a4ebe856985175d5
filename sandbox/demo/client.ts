/**
 * An application as one finds it in a pod: takes its credential once, when it starts, from a mounted Secret (DB_FOLDER) or
 * from the environment (DB_host, DB_username ...), and queries all the time. Knows nothing of Rotor. Told to end, it
 * finishes what is in flight.
 *
 * What it counts outlives it: a report lies in the folder REPORTS before its first query, is written again at every failure,
 * and once more, as `ended`, when it has ended in order.
 */
import { readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Report } from './reports.ts';

const LANES = 2;
const PAUSE_MS = 30;
const REPORT_MS = 250;
const { POD = 'pod', APP = '', REPORTS = '.', CURRENCY = 'EUR', DB_FOLDER } = process.env;

let stopping = false;
process.on('SIGTERM', () => {
  stopping = true;
});

const credential = readCredential();
let report: Report = {
  pod: POD,
  app: APP,
  user: credential('username'),
  version: credential('versionId'),
  queries: 0,
  failures: 0,
  ended: false,
};
write(report);
const reporting = setInterval(() => write(report), REPORT_MS);
// A node that was killed ends nobody any more.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), REPORT_MS).unref();

const pool = new pg.Pool({
  host: credential('host'),
  port: Number(credential('port')),
  database: credential('dbname'),
  user: credential('username'),
  password: credential('password'),
  max: LANES,
  application_name: POD,
});
pool.on('error', failed);

const server = createServer((_, response) => {
  // A shop that doesn't know its currency serves nobody.
  const ready = report.queries > 0 && CURRENCY === 'EUR' && !stopping;
  response.writeHead(ready ? 200 : 503, { 'content-type': 'text/plain' }).end(report.version);
});
server.listen(Number(process.env.ROTOR_SANDBOX_PORT_HTTP ?? 8080), process.env.POD_IP);

await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
await pool.end();
clearInterval(reporting);
write({ ...report, ended: true });
process.exit(0);

async function lane(number: number): Promise<void> {
  while (!stopping) {
    try {
      await pool.query(
        'INSERT INTO shop.orders (client, amount) VALUES ($1, $2) RETURNING id, (SELECT count(*) FROM shop.products)',
        [POD, number],
      );
      report = { ...report, queries: report.queries + 1 };
    } catch (error) {
      failed(error as Error);
    }
    await pause(PAUSE_MS);
  }
}

function failed(error: Error): void {
  const now = Date.now();
  const failedMs = [report.failedMs?.[0] ?? now, now] as const;
  report = { ...report, failures: report.failures + 1, lastFailure: error.message, failedMs };
  write(report);
}

/** A reader sees the report of before or this one, never a part. */
function write(content: Report): void {
  const file = join(REPORTS, `${POD}.${process.pid}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(content));
  renameSync(`${file}.new`, file);
}

/** All keys of one version: a mounted Secret changes as a whole, behind one link. */
function readCredential(): (key: string) => string {
  const environment = process.env;
  if (DB_FOLDER === undefined) return (key) => environment[`DB_${key}`] ?? '';
  const folder = realpathSync(join(DB_FOLDER, '..data'));
  const keys = ['host', 'port', 'dbname', 'username', 'password', 'versionId'];
  const values = new Map(keys.map((key) => [key, readFileSync(join(folder, key), 'utf8')]));
  return (key) => values.get(key) ?? '';
}
