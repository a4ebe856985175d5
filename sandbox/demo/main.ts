/**
 * The main job on real parts: a PostgreSQL, an application under load, an orchestrator and two workers, each a process of
 * its own. Four rotations: by schedule, on demand, one that fails and is rolled back, one whose worker is killed.
 *   npm run demo [-- --json] [-- --keep]
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from '../../core/config.ts';
import { createKeyFile } from '../../core/seal-key-file.ts';
import type { Verdict } from '../../ledger/audit.ts';
import { startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { apiClient } from '../../orchestrator/cli/client.ts';
import type { RotationJson } from '../../orchestrator/cli/follow.ts';
import { manifestsFor, POLICY } from './manifests.ts';
import { startClient, startRotor } from './processes.ts';
import { openScreen } from './screen.ts';
import { makeShop } from './shop.ts';
import { type Actors, failingRollout, killedWorker, onDemand, scheduled } from './story.ts';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const CLIENTS = ['web-1', 'web-2', 'jobs-1'];
const startedAt = Date.now();
const screen = openScreen(options.json);
const folder = resolve('.rotor', 'demo');

screen.say('Rotor demo: one database, three clients that never stop, four rotations.');
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const path of [dirname(folder), folder]) await chmod(path, 0o711);
const postgres = await startEmbeddedPostgres({ folder: join(folder, 'postgres') });
const stops: (() => Promise<unknown>)[] = [() => postgres.stop()];
let failed = false;
try {
  failed = !(await play());
} catch (error) {
  failed = true;
  process.stderr.write(
    `the demo failed: ${(error as Error).message}\n  next: look at the logs in ${folder}\n`,
  );
} finally {
  screen.done();
  for (const stop of stops.reverse()) await stop();
}
process.exit(failed ? 1 : 0);

async function play(): Promise<boolean> {
  const shop = await makeShop(postgres.url(), folder);
  const env = await settings();
  const orchestrator = await startRotor('orchestrator', folder, env);
  stops.push(() => orchestrator.stop());
  const url = /http:\S+?(?=;|$)/.exec(orchestrator.firstLine)?.[0] ?? '';
  const worker = () => startRotor('worker', folder, env);
  const workers = await Promise.all([worker(), worker()]);
  stops.push(() => Promise.all(workers.map((each) => each.stop())));
  const clients = await Promise.all(
    CLIENTS.map(async (name) => {
      const child = await startClient(name, shop.deliveredFile, folder);
      stops.push(async () => child.kill('SIGKILL'));
      return { name, url: `http://127.0.0.1:${child.firstLine}` };
    }),
  );
  const api = apiClient(readConfig({ ROTOR_URL: url, ROTOR_HOME: folder }));
  const actors: Actors = {
    api,
    screen,
    clients,
    workers,
    status: async () => statusLine(await statsOf(clients)),
  };
  screen.say(
    `PostgreSQL on port ${postgres.port}, orchestrator at ${url}, 2 workers, clients ${CLIENTS.join(', ')}`,
  );

  await api.post('/v1/apply', manifestsFor(shop, clients), 'application/yaml');
  const rotations = [
    await scheduled(actors),
    await onDemand(actors),
    await failingRollout(actors),
    await killedWorker(actors, worker),
  ];
  if (options.keep) await stayUp(url);
  return sumUp(rotations, clients, await api.get<Verdict>('/v1/audit/verify'));
}

/** Secrets reach the processes by files that only this user may read. */
async function settings(): Promise<Record<string, string>> {
  const databaseUrlFile = join(folder, 'database-url');
  await writeFile(databaseUrlFile, postgres.url(), { mode: 0o600 });
  const keyFile = join(folder, 'key');
  await createKeyFile(keyFile);
  return {
    ROTOR_MODE: 'embedded',
    ROTOR_HOME: folder,
    ROTOR_DATABASE_URL_FILE: databaseUrlFile,
    ROTOR_KEY_FILE: keyFile,
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_LEASE: '2s',
    ROTOR_SWEEP_INTERVAL: '200ms',
  };
}

interface Stats {
  readonly name: string;
  readonly queries: number;
  readonly failures: number;
  readonly user: string;
  readonly lastFailure: string;
}

async function statsOf(clients: readonly { url: string }[]): Promise<Stats[]> {
  return Promise.all(clients.map(async ({ url }) => (await (await fetch(`${url}/stats`)).json()) as Stats));
}

function totals(stats: readonly Stats[]): { queries: number; failures: number } {
  const sum = (of: (each: Stats) => number) => stats.reduce((total, each) => total + of(each), 0);
  return { queries: sum(({ queries }) => queries), failures: sum(({ failures }) => failures) };
}

function statusLine(stats: readonly Stats[]): string {
  const { queries, failures } = totals(stats);
  return `clients: ${queries} queries, ${failures} failures, logged in as ${[...new Set(stats.map(({ user }) => user))].join(' and ')}`;
}

async function stayUp(url: string): Promise<void> {
  screen.say(
    `\nIt all stays up until Ctrl-C. Try:\n  export ROTOR_URL=${url} ROTOR_HOME=${folder}\n  npm run -s rotor -- rotate ${POLICY} --wait`,
  );
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

async function sumUp(
  rotations: readonly RotationJson[],
  clients: readonly { url: string }[],
  audit: Verdict,
): Promise<boolean> {
  const stats = await statsOf(clients);
  const { queries, failures } = totals(stats);
  const proven = rotations
    .filter(({ state }) => state === 'done')
    .every(({ proof }) => proof?.oldRefused && proof.newAccepted);
  const states = rotations.map(({ state, recovered }) => `${state}${recovered ? ' and recovered' : ''}`);
  const expected = ['done', 'done', 'rolled-back', 'done and recovered'];
  const good =
    failures === 0 && queries > 1_000 && proven && audit.verified && states.join() === expected.join();
  const seconds = Math.round((Date.now() - startedAt) / 100) / 10;
  screen.say(`
rotations   ${states.join(', ')}
clients     ${queries} queries, ${failures} failures${stats.map(({ lastFailure }) => lastFailure && ` (${lastFailure})`).join('')}
proofs      ${proven ? 'every old credential was refused, every new one accepted' : 'MISSING'}
audit       ${audit.verified ? `verified, ${audit.rows} rows` : `BROKEN: ${audit.broken}`}
took        ${seconds} s
${good ? 'All as promised.' : 'NOT as promised.'}`);
  if (options.json) {
    const summary = {
      clients: { count: clients.length, queries, failures },
      rotations: rotations.map(
        ({ id, policy, trigger, state, recovered, durationMs, steps, proof, error }) => ({
          id,
          policy,
          trigger,
          state,
          recovered,
          durationMs,
          steps,
          proof,
          error,
        }),
      ),
      audit,
      seconds,
    };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
  }
  return good;
}
