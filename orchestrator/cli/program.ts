import { Command, Option } from 'commander';
import { registerApproveCommand } from './approve-command.ts';
import { registerFunctionCommands } from './function-commands.ts';
import { registerImportCommands } from './import-commands.ts';
import { registerIncidentCommands } from './incident-commands.ts';
import { registerKeyCommands } from './key-commands.ts';
import { registerLookCommands } from './look-commands.ts';
import { registerMigrateCommand } from './migrate-command.ts';
import { registerPolicyCommands } from './policy-commands.ts';
import { registerProcessCommands } from './processes.ts';
import { registerTrustCommands } from './trust-commands.ts';

/** All commands of `rotor` with their options; nothing runs before it parses. */
export function rotorProgram(): Command {
  const program = new Command('rotor')
    .description('Changes a credential everywhere it lives, and proves that the old one is dead.')
    .version('0.1.0')
    .addOption(
      new Option('-o, --output <format>', 'form of results')
        .choices(['table', 'json', 'yaml'])
        .default('table'),
    )
    .showHelpAfterError('(rotor --help tells how)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 usage or invalid manifest, 3 rolled back.

Examples:
  rotor up                                 everything on this machine, in one process
  rotor apply -f policies/                 create or change policies
  rotor plan orders-db                     what a rotation would do, without doing it
  rotor rotate orders-db --wait            rotate now and follow it
  rotor describe rotation <id>             steps, facts, proof
  rotor respond orders-db --reason "..."    somebody has it: a new one now, the old one dead
  rotor audit verify                       is the trail untouched?

Environment: ROTOR_URL, ROTOR_TOKEN_FILE and others: docs/configuration.md.`,
    );
  registerProcessCommands(program);
  registerMigrateCommand(program);
  registerPolicyCommands(program);
  registerLookCommands(program);
  registerIncidentCommands(program);
  registerApproveCommand(program);
  registerTrustCommands(program);
  registerKeyCommands(program);
  registerFunctionCommands(program);
  registerImportCommands(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}
