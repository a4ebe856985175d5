import { open } from 'node:fs/promises';
import { isAbsolute, normalize } from 'node:path';
import { foreignCode, RotorError } from '../../../core/errors.ts';

/** Beginnings of command lines that policies may run: a program, or a program with its first arguments. */
export type AllowedCommands = readonly (readonly string[])[];

/**
 * Reads the allow-list (`ROTOR_COMMANDS_FILE`): one absolute program a line, with the arguments that are fixed,
 * split by blanks; `#` starts a comment. Without a file no command is allowed.
 * @throws RotorError `config.invalid` when it can't be read, others may write it, or a line is no absolute path
 */
export async function loadAllowedCommands(file: string | undefined): Promise<AllowedCommands> {
  if (file === undefined || file === '') return [];
  const commands: string[][] = [];
  for (const [index, raw] of (await readPrivate(file)).split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const command = line.split(/\s+/);
    const [program = ''] = command;
    if (!isAbsolute(program) || normalize(program) !== program) {
      throw invalid(file, `line ${index + 1} does not begin with an absolute path`);
    }
    commands.push(command);
  }
  return commands;
}

/**
 * Policies are written by more people than may run programs on the worker; the list is written by the operator.
 * @param whose who wants to run it, as the error says it
 * @throws RotorError `rollout.command-not-allowed` unless some entry is the beginning of `run`
 */
export function assertAllowed(whose: string, run: readonly string[], allowed: AllowedCommands): void {
  const fits = allowed.some((entry) => entry.every((word, index) => run[index] === word));
  if (fits) return;
  throw new RotorError('rollout.command-not-allowed', {
    what: `${whose}: command ${run[0]} is not on the allow-list with these arguments`,
  });
}

async function readPrivate(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const { mode } = await handle.stat();
      if ((mode & 0o022) !== 0)
        throw invalid(file, `others may write it (mode 0${(mode & 0o777).toString(8)})`);
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof RotorError) throw error;
    throw new RotorError('config.invalid', {
      what: `command list ${file} cannot be read (${foreignCode(error)})`,
      hint: 'Correct ROTOR_COMMANDS_FILE, or unset it when no policy runs commands.',
      cause: error,
    });
  }
}

function invalid(file: string, why: string): RotorError {
  return new RotorError('config.invalid', {
    what: `command list ${file}: ${why}`,
    hint: 'Write one absolute command a line, and let only its owner write the file (chmod 0644).',
  });
}
