/**
 * A miniature cluster to try things on: npm run sandbox [-- --kubeconfig FILE]. Pods are processes of this machine.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createLog } from '../core/log.ts';
import { startSandbox } from './cluster.ts';
import { installDefinitions } from './definitions.ts';

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string', default: 'sandbox.kubeconfig' },
    port: { type: 'string', default: '0' },
    'log-level': { type: 'string', default: 'warn' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`npm run sandbox [-- --kubeconfig FILE] [--port N] [--log-level LEVEL]

Starts a Kubernetes API server, its controllers and one node whose pods are processes of this machine, and writes a
kubeconfig (sandbox.kubeconfig, mode 0600). Images: sandbox/node and sandbox/sh run a command with node or sh.
Everything is in memory and gone when it ends (Ctrl-C).
`);
  process.exit(0);
}
const folder = await mkdtemp(join(tmpdir(), 'rotor-sandbox-'));
const log = createLog('sandbox', { level: values['log-level'] });
const sandbox = await startSandbox({ folder, log, api: { port: Number(values.port) } });
await installDefinitions(sandbox.kubeconfig);
const file = resolve(values.kubeconfig);
await writeFile(file, sandbox.kubeconfig, { mode: 0o600 });
process.stdout.write(
  `the sandbox is running at ${sandbox.api.url}; stop it with Ctrl-C\nkubectl --kubeconfig ${file} get nodes\n`,
);
await new Promise<void>((done) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
});
await sandbox.stop();
await rm(folder, { recursive: true, force: true });
await rm(file, { force: true });
process.exit(0);
