import type { Command } from 'commander';
import { type Config, readConfig } from '../../core/config.ts';
import { ledgerNow } from '../../ledger/rotations.ts';
import { createHealthApi } from '../api/health.ts';
import { type Served, serveApi } from '../api/serve.ts';
import { type Foundation, layFoundation, startWorkers } from '../processes/foundation.ts';
import { startOrchestrating } from '../processes/orchestrating.ts';
import { untilAsked } from './signals.ts';

/** `up`, `orchestrator` and `worker`: the commands that stay. */
export function registerProcessCommands(program: Command): void {
  program
    .command('up')
    .description(
      'Run orchestrator and worker in this process; with a PostgreSQL of its own unless ROTOR_DATABASE_URL is set',
    )
    .option('--listen <address>', 'address and port of the HTTP API')
    .option('--home <folder>', 'where the embedded database, the key and the local store are kept')
    .action((flags) => run(readConfig(process.env, flags), 'up', { orchestrate: true, work: true }));
  program
    .command('orchestrator')
    .description('Run scheduler and HTTP API; several may run at once, the ledger hands out the work')
    .option('--listen <address>', 'address and port of the HTTP API')
    .action((flags) =>
      run(readConfig(process.env, flags), 'orchestrator', { orchestrate: true, work: false }),
    );
  program
    .command('worker')
    .description('Run a worker: takes rotations from the queue; as many as you like')
    .option('--concurrency <n>', 'rotations at once')
    .option('--health-listen <address>', 'address and port of /healthz, /readyz and /metrics')
    .action((flags) => run(readConfig(process.env, flags), 'worker', { orchestrate: false, work: true }));
}

/** For a process without an API, when somebody asks after it. */
async function serveHealth({ config, log, ledger, telemetry }: Foundation): Promise<Served | undefined> {
  if (!config.healthListen) return undefined;
  const api = createHealthApi(log, { ready: () => ledgerNow(ledger), metrics: () => telemetry.metrics() });
  return serveApi(api, config.healthListen, 'ROTOR_HEALTH_LISTEN');
}

/** Runs until SIGTERM or SIGINT, then finishes the steps at hand and hands everything else over. */
async function run(
  config: Config,
  name: string,
  parts: { orchestrate: boolean; work: boolean },
): Promise<void> {
  const foundation = await layFoundation(config, name);
  const { log } = foundation;
  const workers = parts.work ? await startWorkers(foundation) : undefined;
  const health = parts.orchestrate ? undefined : await serveHealth(foundation);
  const orchestrating = parts.orchestrate ? await startOrchestrating(foundation) : undefined;
  const url = (orchestrating?.served ?? health)?.url;
  const where = url ? ` at ${url}` : '';
  process.stdout.write(`rotor ${name} is running${where}; stop it with Ctrl-C\n`);
  if (orchestrating?.tokenFile) process.stdout.write(`the admin token is in ${orchestrating.tokenFile}\n`);

  const signal = await untilAsked();
  log.info({ signal }, 'shutting down: finishing the steps at hand');
  await orchestrating?.close();
  await workers?.close();
  await health?.close();
  await foundation.close();
  // A parent's channel would keep this process alive.
  if (process.connected) process.disconnect();
}
