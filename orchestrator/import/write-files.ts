import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Written } from './draft.ts';

/**
 * Writes each file that isn't there yet: what a person has filled in is never overwritten.
 * @returns names of files that were there already, and stay as they are
 * @throws RotorError `config.invalid` for a folder that can't be written
 */
export async function writeFiles(folder: string, files: Written['files']): Promise<readonly string[]> {
  const kept: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const { name, text } of files) {
      await writeFile(join(folder, name), text, { flag: 'wx' }).catch((error) => {
        if (foreignCode(error) !== 'EEXIST') throw error;
        kept.push(name);
      });
    }
  } catch (error) {
    throw new RotorError('config.invalid', {
      what: `${folder} can't be written (${foreignCode(error) ?? 'unknown error'})`,
      hint: 'Name a folder that you may write, with `--directory`.',
      cause: error,
    });
  }
  return kept;
}
