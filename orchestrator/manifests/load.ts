import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import type { Manifest } from './manifest.ts';
import { findDuplicates, readManifests } from './parse.ts';
import { ManifestError, type Problem } from './problem.ts';
import { manifestSchemas } from './schemas.ts';

const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);

export interface LoadOptions {
  /** What `-` reads. */
  readonly stdin?: NodeJS.ReadableStream;
}

/**
 * Reads manifests of files, of directories (their .yaml, .yml and .json files, with subdirectories but
 * without hidden ones) and of standard input (`-`).
 * @throws ManifestError with all problems of all files; RotorError `reference.unresolved` for what can't be read
 */
export async function loadManifests(
  paths: readonly string[],
  registries: Registries,
  options: LoadOptions = {},
): Promise<readonly Manifest[]> {
  const schemas = manifestSchemas(registries);
  const manifests: Manifest[] = [];
  const problems: Problem[] = [];
  for (const path of paths) {
    for (const { file, content } of await readTexts(path, options.stdin ?? process.stdin)) {
      const reading = readManifests(content, file, schemas);
      manifests.push(...reading.manifests);
      problems.push(...reading.problems);
    }
  }
  problems.push(...findDuplicates(manifests));
  if (manifests.length === 0 && problems.length === 0) {
    const file = paths.join(', ') || '(no file)';
    problems.push({ file, line: 1, column: 1, field: '', message: 'there is no manifest in it' });
  }
  if (problems.length > 0) throw new ManifestError(problems);
  return manifests;
}

async function readTexts(path: string, stdin: NodeJS.ReadableStream) {
  if (path === '-') return [{ file: '(standard input)', content: await text(stdin) }];
  try {
    const files = (await stat(path)).isDirectory() ? await filesIn(path) : [path];
    return await Promise.all(files.map(async (file) => ({ file, content: await readFile(file, 'utf8') })));
  } catch (error) {
    throw new RotorError('reference.unresolved', {
      what: `${path} can't be read (${foreignCode(error) ?? 'unknown error'})`,
      cause: error,
    });
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const visible = entries
    .filter(({ name }) => !name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: string[] = [];
  for (const entry of visible) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await filesIn(path)));
    else if (EXTENSIONS.has(extname(entry.name))) files.push(path);
  }
  return files;
}
