import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

/** Makes what is published: plain JavaScript and the ledger's migrations in dist/. Running and testing need no build. */
rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('tsc', ['--project', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
cpSync('ledger/migrations', 'dist/ledger/migrations', { recursive: true });
process.stdout.write('dist/ is made\n');
