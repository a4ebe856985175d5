import type { Command } from 'commander';
import { readConfig } from '../../core/config.ts';
import { createLog } from '../../core/log.ts';
import { type Format, print } from './output.ts';

/** `migrate`: for databases where the processes themselves may not change the schema. */
export function registerMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('Bring the schema of the ledger, and of a queue in PostgreSQL, to this version')
    .option('--grant <role>', 'let this role of the database work with them, but not change the schema')
    .addHelpText(
      'after',
      `
Connects by ROTOR_DATABASE_URL(_FILE) and ROTOR_QUEUE_URL(_FILE) as a user that may change the schema; needs no key file.
The processes then run as the granted role, with ROTOR_MIGRATE=check.`,
    )
    .action(async ({ grant }: { grant?: string }, command: Command) => {
      // Nothing is sealed or opened here, so the key that production asks for isn't.
      const config = readConfig({ ...process.env, ROTOR_MODE: 'embedded' });
      const { migrate } = await import('../processes/migrating.ts');
      const done = await migrate(config, createLog('migrate', { level: config.logLevel }), grant);
      print(command.optsWithGlobals().output as Format, done, () =>
        [
          done.applied.length === 0
            ? 'the ledger is up to date'
            : `ledger: applied ${done.applied.join(', ')}`,
          ...(done.queue ? ['the queue is up to date'] : []),
          ...(done.granted === undefined ? [] : [`${done.granted} may work with it`]),
        ].join('\n'),
      );
    });
}
