/**
 * A miniature cluster to try things on: npm run sandbox [-- --kubeconfig FILE]. Pods are processes of this machine.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createLog } from '../core/log.ts';
import { startSandbox } from './cluster.ts';
import { installDefinitions } from './definitions.ts';

const HELP = `npm run sandbox [-- --kubeconfig FILE] [--port N] [--log-level LEVEL]

Starts a Kubernetes API server, its controllers and one node whose pods are processes of this machine, and writes a
kubeconfig (sandbox.kubeconfig, mode 0600). Images: sandbox/node and sandbox/sh run a command with node or sh.
Everything is in memory and gone when it ends (Ctrl-C).
`;
const USAGE = 2;
/** A kubeconfig that a sandbox has written says so. */
const OURS = /^current-context: sandbox$/m;

// From the beginning: whoever stops it while it starts shall not leave half of it behind.
const stopped = new Promise<void>((done) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
});
const options = readOptions();
const file = resolve(options.kubeconfig);
const existing = await readFile(file, 'utf8').catch(() => undefined);
if (existing !== undefined && !OURS.test(existing))
  refuse(`${file} is there already and belongs to another cluster: name another file with --kubeconfig`);

const folder = await mkdtemp(join(tmpdir(), 'rotor-sandbox-'));
const log = createLog('sandbox', { level: options['log-level'] });
const sandbox = await startSandbox({ folder, log, api: { port: Number(options.port) } });
await installDefinitions(sandbox.kubeconfig);
await rm(file, { force: true });
await writeFile(file, sandbox.kubeconfig, { mode: 0o600, flag: 'wx' });
process.stdout.write(
  `the sandbox is running at ${sandbox.api.url}; stop it with Ctrl-C\nkubectl --kubeconfig ${file} get nodes\n`,
);
await stopped;
await sandbox.stop();
await rm(folder, { recursive: true, force: true });
// Another sandbox may have taken the file's place meanwhile.
if ((await readFile(file, 'utf8').catch(() => undefined)) === sandbox.kubeconfig) await rm(file);
process.exit(0);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        kubeconfig: { type: 'string', default: 'sandbox.kubeconfig' },
        port: { type: 'string', default: '0' },
        'log-level': { type: 'string', default: 'warn' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    if (/^\d{1,5}$/.test(values.port)) return values;
    return refuse(`--port needs a number instead of "${values.port}"`);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n\n${HELP}`);
  process.exit(USAGE);
}
