import { appendFileSync, existsSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { readConfig } from '../../core/config.ts';
import { createLog } from '../../core/log.ts';
import { createKeyFile } from '../../core/seal-key-file.ts';
import type { Verdict } from '../../ledger/audit.ts';
import { startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { apiClient } from '../../orchestrator/cli/client.ts';
import { startSandbox } from '../cluster.ts';
import { startFleet } from './fleet.ts';
import { type GitHub, startGitHub } from './github.ts';
import type { Household } from './household.ts';
import { consumersFirst, revokeFirst } from './leak.ts';
import { manifestsFor } from './manifests.ts';
import { assertOnlyOne, takePlace } from './only-one.ts';
import { type Child, startRotor } from './processes.ts';
import { readReports, totalsOf } from './reports.ts';
import type { Screen } from './screen.ts';
import { countOrders, makeShop } from './shop.ts';
import { type Actors, failingRollout, killedWorker, knownToRotor, onDemand, scheduled } from './story.ts';
import { broken, countedTogether, type Facts, podsOf, summaryOf, summaryText } from './summary.ts';
import { APPS, MAIL, NAMESPACE, WEB } from './workloads.ts';

/** Their failures and orders are counted together. */
const COUNTED = APPS.filter((app) => !app.apart).map(({ name }) => name);

export interface Play {
  readonly screen: Screen;
  readonly household: Household;
  readonly folder: string;
  /** Stays up after the story, until `interrupted`. */
  readonly keep: boolean;
  readonly interrupted: Promise<unknown>;
  /** The story is told, and an interruption is what it waits for. */
  stays?: boolean;
}

/** The whole demo, from an empty folder to the summary. What it starts is left to the household to stop. */
export async function perform(play: Play) {
  const { screen, household, folder } = play;
  const startedAt = Date.now();
  screen.say(
    'Rotor demo: one database, three applications in a cluster that never stop, four rotations, two leaks.',
  );
  const pidFile = join(folder, 'pid');
  await assertOnlyOne(pidFile);
  await stopLeftover(join(folder, 'postgres'));
  await rm(folder, { recursive: true, force: true });
  const reports = join(folder, 'reports');
  await mkdir(reports, { recursive: true });
  await household.add(
    () => takePlace(pidFile),
    () => rm(pidFile),
  );
  for (const path of [dirname(folder), folder]) await chmod(path, 0o711);
  const postgres = await household.add(
    () => startEmbeddedPostgres({ folder: join(folder, 'postgres') }),
    (it) => it.stop(),
  );
  const shop = await makeShop(postgres.url(), folder);

  const log = createLog('sandbox', {
    level: 'warn',
    destination: { write: (line) => appendFileSync(join(folder, 'sandbox.log'), line) },
  });
  const sandbox = await household.add(
    () => startSandbox({ folder, log }),
    (it) => it.stop(),
  );
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, sandbox.kubeconfig, { mode: 0o600 });
  const github = await household.add(startGitHub, (it) => it.stop());
  const env = { ...(await settings(folder, postgres.url(), github)), KUBECONFIG: kubeconfig };
  const rotors: Child[] = [];
  const rotor = async (command: string) => {
    const child = await household.add(
      () => startRotor(command, folder, env),
      (it) => it.stop(),
    );
    rotors.push(child);
    return child;
  };
  const [orchestrator, first, second, fleet] = await Promise.all([
    rotor('orchestrator'),
    rotor('worker'),
    rotor('worker'),
    household.add(
      () => startFleet({ shop, reports, kubeconfig: sandbox.kubeconfig, log }),
      (it) => it.stop(),
    ),
  ]);
  const url = /http:\S+?(?=;|$)/.exec(orchestrator.firstLine)?.[0] ?? '';
  const api = apiClient(readConfig({ ROTOR_URL: url, ROTOR_HOME: folder }));
  const actors: Actors = {
    api,
    screen,
    fleet,
    workers: [first, second],
    status: async () => {
      const { queries, failures } = totalsOf(countedTogether(await readReports(reports)));
      return `clients: ${queries} queries, ${failures} failures`;
    },
  };
  screen.say(`PostgreSQL on port ${postgres.port}, a cluster at ${sandbox.api.url}, orchestrator at ${url}, 2 workers.
Pods, each by a sign: ● ready, ○ not ready, ◌ ending; v1, v2 ... is the version of their credential.`);
  for (const app of APPS) screen.say(`   ${fleet.picture(app)}`);

  await api.post('/v1/apply', manifestsFor(shop), 'application/yaml');
  const chapters = [await scheduled(actors)];
  const known = knownToRotor(actors, MAIL);
  // It is waited for later; what goes wrong meanwhile is heard then.
  known.catch(() => undefined);
  chapters.push(
    await onDemand(actors),
    await failingRollout(actors),
    await killedWorker(actors, () => rotor('worker')),
    await consumersFirst({ ...actors, github }),
  );
  await known;
  chapters.push(await revokeFirst({ ...actors, github }));
  const soFar = await factsOf(postgres.url(), reports);
  const facts: Facts = {
    ...soFar,
    chapters,
    pods: APPS.flatMap((app) => podsOf(app, fleet.pods(app), soFar.reports)),
    audit: await api.get<Verdict>('/v1/audit/verify'),
    seconds: Math.round((Date.now() - startedAt) / 100) / 10,
  };
  if (play.keep) {
    screen.say(summaryText(facts, broken(facts, 'so far')));
    screen.say(invitation(folder, url));
    play.stays = true;
    await play.interrupted;
  }
  // Nobody moves pods any more. Only one that has ended in order has said its last number.
  await Promise.all(rotors.map((each) => each.stop()));
  await fleet.endPods();
  const final = { ...facts, ...(await factsOf(postgres.url(), reports)) };
  const problems = broken(final, 'in the end');
  screen.say(summaryText(final, problems));
  return { good: problems.length === 0, summary: summaryOf(final) };
}

/** A demo that was killed couldn't stop its server, whose files are about to go. */
async function stopLeftover(folder: string): Promise<void> {
  if (!existsSync(join(folder, 'data', 'postmaster.pid'))) return;
  const server = await startEmbeddedPostgres({ folder }).catch(() => undefined);
  await server?.stop();
}

/** What clients and database say they have done. */
async function factsOf(superuserUrl: string, folder: string): Promise<Pick<Facts, 'reports' | 'orders'>> {
  return { reports: await readReports(folder), orders: await countOrders(superuserUrl, COUNTED) };
}

/** Secrets reach the processes by files that only this user may read. */
async function settings(
  folder: string,
  databaseUrl: string,
  github: GitHub,
): Promise<Record<string, string>> {
  const databaseUrlFile = join(folder, 'database-url');
  await writeFile(databaseUrlFile, databaseUrl, { mode: 0o600 });
  const keyFile = join(folder, 'key');
  await createKeyFile(keyFile);
  const hooksFile = join(folder, 'hooks.yaml');
  await writeFile(
    hooksFile,
    `sources: { github-partner: { githubPartner: { keysUrl: "${github.keysUrl}" } } }\n`,
  );
  return {
    ROTOR_MODE: 'embedded',
    ROTOR_HOME: folder,
    ROTOR_DATABASE_URL_FILE: databaseUrlFile,
    ROTOR_KEY_FILE: keyFile,
    ROTOR_HOOKS_FILE: hooksFile,
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_LEASE: '3s',
    ROTOR_SWEEP_INTERVAL: '200ms',
  };
}

function invitation(folder: string, url: string): string {
  const here = relative(process.cwd(), folder);
  return `
It all stays up until Ctrl-C. In another terminal, try:
  export ROTOR_URL=${url} ROTOR_HOME=${here} KUBECONFIG=${join(here, 'kubeconfig')}
  npm run -s rotor -- plan ${WEB.secret}
  npm run -s rotor -- rotate ${WEB.secret} --wait
  npm run -s rotor -- get rotations
and, with a kubectl:
  kubectl -n ${NAMESPACE} get deployments,services,secrets -o wide
  kubectl -n ${NAMESPACE} get pods -L rotor.dev/slot --watch
  kubectl -n ${NAMESPACE} get deployment ${WEB.name} -o yaml`;
}
