import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));
/** A process namespace of its own makes a program what it is in a container: process 1, to which the kernel lends nothing. */
const ALONE = ['-U', '-r', '-p', '-f', '--kill-child'];
const withoutNamespaces = spawnSync('unshare', [...ALONE, 'true']).status !== 0;
if (withoutNamespaces)
  process.stderr.write('what the first process of a container does is skipped: no `unshare` for this user\n');

/** A database that takes connections and says nothing. */
let silent: Server;
beforeAll(async () => {
  silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
});
afterAll(() => silent.close());

async function asFirst(command: string): Promise<{ unshare: ChildProcess; pid: number }> {
  const { port } = silent.address() as AddressInfo;
  const env = { ...process.env, ROTOR_DATABASE_URL: `postgres://u:p@127.0.0.1:${port}/rotor` };
  const args = [...ALONE, process.execPath, MAIN, command];
  const unshare = spawn('unshare', args, { env, stdio: 'ignore' });
  await once(silent, 'connection');
  const children = await readFile(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8');
  return { unshare, pid: Number(children) };
}

test.skipIf(withoutNamespaces)(
  'a migration that waits for its database ends when it is asked to, as the first process of a container too',
  async () => {
    const { unshare, pid } = await asFirst('migrate');
    const ended = once(unshare, 'exit');
    process.kill(pid, 'SIGTERM');
    // As shells have it: 128 and the number of the signal.
    expect(await ended).toEqual([143, null]);
  },
);
