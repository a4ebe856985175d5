#!/usr/bin/env node
import { CommanderError } from 'commander';
import { RotorError } from '../../core/errors.ts';
import { complain } from './output.ts';
import { rotorProgram } from './program.ts';
import { endWhenAsked } from './signals.ts';

const USAGE = 2;

endWhenAsked();

// `rotor get policies | head` ends when head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await rotorProgram().parseAsync();
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : USAGE;
  } else {
    complain(thrown);
    const usage =
      thrown instanceof RotorError &&
      ['manifest.invalid', 'config.invalid', 'api.invalid'].includes(thrown.code);
    process.exitCode = usage ? USAGE : 1;
  }
}
