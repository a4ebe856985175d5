import type { Command } from 'commander';
import { readConfig } from '../../core/config.ts';

/** `up`, `orchestrator` and `worker`: the commands that stay. */
export function registerProcessCommands(program: Command): void {
  program
    .command('up')
    .description(
      'Run orchestrator and worker in this process; with a PostgreSQL of its own unless ROTOR_DATABASE_URL is set',
    )
    .option('--listen <address>', 'address and port of the HTTP API')
    .option('--home <folder>', 'where the embedded database, the key and the local store are kept')
    .action((flags) => run(flags, 'up', { orchestrate: true, work: true }));
  program
    .command('orchestrator')
    .description('Run scheduler and HTTP API; several may run at once, the ledger hands out the work')
    .option('--listen <address>', 'address and port of the HTTP API')
    .action((flags) => run(flags, 'orchestrator', { orchestrate: true, work: false }));
  program
    .command('worker')
    .description('Run a worker: takes rotations from the queue; as many as you like')
    .option('--concurrency <n>', 'rotations at once')
    .option('--health-listen <address>', 'address and port of /healthz, /readyz and /metrics')
    .action((flags) => run(flags, 'worker', { orchestrate: false, work: true }));
}

/** What stays needs nearly everything; commands that ask the API start without it. */
async function run(
  flags: object,
  name: string,
  parts: { orchestrate: boolean; work: boolean },
): Promise<void> {
  const config = readConfig(process.env, flags);
  const { runProcess } = await import('./run-process.ts');
  return runProcess(config, name, parts);
}
