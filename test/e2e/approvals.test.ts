/** Two people and a leak, by the commands that people type. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));
const MANIFESTS = `
apiVersion: rotor.dev/v1alpha1
kind: Runbook
metadata: { name: production }
spec:
  steps:
    - approve: { people: 2 }
      when: { environment: [production] }
    - contain: {}
    - rotate: {}
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: cookie, labels: { environment: production } }
spec:
  credential: { random: {} }
  store: { path: cookie }
  onCompromise: { runbook: production }
`;

let home: string;
let running: ChildProcess;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'rotor-approvals-'));
  await chmod(home, 0o755);
  env = {
    ...process.env,
    ROTOR_HOME: home,
    ROTOR_MODE: 'embedded',
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_LOG_LEVEL: 'warn',
  };
  running = spawn(process.execPath, [ROTOR, 'up'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  env.ROTOR_URL = await new Promise<string>((resolve, reject) => {
    for (const stream of [running.stdout, running.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /running at (http:\S+);/.exec(output)?.[1];
        if (found) resolve(found);
      });
    running.once('exit', () => reject(new Error(`rotor up ended:\n${output}`)));
  });
});
afterEach(async () => {
  const ended = once(running, 'exit');
  running.kill('SIGTERM');
  await ended;
  await rm(home, { recursive: true, force: true });
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function rotor(args: readonly string[], as?: string, input = ''): Promise<Said> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [ROTOR, ...args],
      { env: { ...env, ...(as === undefined ? {} : { ROTOR_TOKEN: as }) } },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

test('a rotation of production waits for two people, and a dry run says so before', async () => {
  expect((await rotor(['apply', '-f', '-'], undefined, MANIFESTS)).code).toBe(0);
  const respond = ['respond', 'cookie', '--reason', 'pasted into a ticket'];
  const dry = await rotor([...respond, '--dry-run']);
  expect(dry.stdout).toContain('2 people have to approve within 4h');
  expect(dry.stdout).toMatch(/rotate +after approval/);
  expect((await rotor(['get', 'incidents'])).stdout).toBe('no incidents\n');

  const made = await rotor(['-o', 'json', ...respond]);
  const [incident = ''] = (JSON.parse(made.stdout) as { incidents: string[] }).incidents;
  const describe = async () => (await rotor(['describe', 'incident', incident])).stdout;
  expect(await describe()).toMatch(/cookie.*waiting for approval[\s\S]*approve +waiting.*0 of 2 approved/);

  const token = async (name: string, ...more: string[]) =>
    (await rotor(['token', 'create', name, '--role', 'responder', ...more])).stdout.trim();
  const [alice, laptop, bob] = [
    await token('alice'),
    await token('alice-laptop', '--owner', 'alice'),
    await token('bob'),
  ];
  const approve = ['approve', `incident/${incident}`];
  expect(await rotor(approve, alice)).toMatchObject({
    code: 0,
    stdout: 'default/cookie: 1 of 2 approved, it waits for more\n',
  });
  const again = await rotor(approve, laptop);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain(`alice has approved incident ${incident} already`);
  expect(await rotor([...approve, '--policy', 'nothing'], bob)).toMatchObject({ code: 1 });
  expect(await rotor([...approve, '--policy', 'cookie'], bob)).toMatchObject({
    code: 0,
    stdout: 'default/cookie: 2 of 2 approved, it goes on\n',
  });
  const watched = await rotor(['-o', 'json', 'watch', `incident/${incident}`]);
  expect(watched.code, watched.stderr).toBe(0);
  expect(JSON.parse(watched.stdout)).toMatchObject({ state: 'ended', targets: [{ result: 'proven' }] });
  expect(await describe()).toMatch(/approve +done.*2 of 2 approved: alice, bob/);
  const evidence = await rotor(['audit', 'export', '--incident', incident, '--html']);
  expect(evidence.stdout).toMatch(/approve<\/td><td>done.*alice at .*bob at /);
});
