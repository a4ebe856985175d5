import type { Config } from '../../core/config.ts';
import { ledgerNow } from '../../ledger/rotations.ts';
import { createHealthApi } from '../api/health.ts';
import { type Served, serveApi } from '../api/serve.ts';
import { type Foundation, layFoundation, startWorkers } from '../processes/foundation.ts';
import { startOrchestrating } from '../processes/orchestrating.ts';
import { untilAsked } from './signals.ts';

/** For a process without an API, when somebody asks after it. */
async function serveHealth({ config, log, ledger, telemetry }: Foundation): Promise<Served | undefined> {
  if (!config.healthListen) return undefined;
  const api = createHealthApi(log, { ready: () => ledgerNow(ledger), metrics: () => telemetry.metrics() });
  return serveApi(api, config.healthListen, 'ROTOR_HEALTH_LISTEN');
}

/** Runs until SIGTERM or SIGINT, then finishes the steps at hand and hands everything else over. */
export async function runProcess(
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
