// Runs a command of this project with its own Node and dependencies, installing both when they are missing
// or package-lock.json changed. Plain JavaScript: it must run on whatever Node the machine has (20 or newer).
//   node scripts/with-deps.mjs <file.ts | bin> [arguments]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.rotor-lock-hash');
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) throw error;
  if (signal) process.kill(process.pid, signal);
  return status ?? 1;
}

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  process.stderr.write('Installing dependencies (once, and again when package-lock.json changes) ...\n');
  // Standard output belongs to the command's own result, so npm talks on standard error.
  const status = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    process.stderr.write('npm ci failed: the dependencies could not be installed; its message is above.\n');
    process.exit(status);
  }
  writeFileSync(stamp, lock);
}

const [target, ...rest] = process.argv.slice(2);
const node = join(modules, '.bin', 'node');
const path = join(modules, '.bin') + delimiter + process.env.PATH;
const script = target.endsWith('.ts') ? join(root, target) : join(modules, ...target.split('/'));
const child = spawn(node, [script, ...rest], { stdio: 'inherit', env: { ...process.env, PATH: path } });
// Ctrl-C reaches the command by itself, since it has the same terminal; whoever ends this process means the command.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.once('error', (error) => {
  throw error;
});
child.once('exit', (status, signal) => {
  if (!signal) process.exit(status ?? 1);
  process.removeAllListeners();
  process.kill(process.pid, signal);
});
