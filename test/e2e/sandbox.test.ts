import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  KubeConfig,
  KubernetesObjectApi,
  type V1Deployment,
  type V1Node,
  type V1Pod,
} from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url));
let folder: string;
let kubeconfig: string;
let temporary: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-sandbox-test-'));
  kubeconfig = join(folder, 'kubeconfig');
  temporary = join(folder, 'tmp');
  await mkdir(temporary);
});
afterEach(async () => {
  if (child?.exitCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
});

test('starts a cluster that runs a Deployment’s pod, and leaves nothing behind when it is told to end', async () => {
  const said = await started();
  expect(said).toMatch(/^the sandbox is running at https:\/\/127\.0\.0\.1:\d+; stop it with Ctrl-C$/m);
  expect(said).toContain(`kubectl --kubeconfig ${kubeconfig} get nodes`);
  expect((await stat(kubeconfig)).mode & 0o777).toBe(0o600);
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const api = KubernetesObjectApi.makeApiClient(config);

  const nodes = await api.list<V1Node>('v1', 'Node');
  expect(nodes.items.map(({ metadata }) => metadata?.name)).toEqual(['sandbox']);

  const pidFile = join(folder, 'pid');
  await api.create(deploymentThatSays(pidFile));
  const readyPods = async () => {
    const { items } = await api.list<V1Pod>('v1', 'Pod', 'default');
    return items.filter((pod) => pod.status?.conditions?.some(isReady)).length;
  };
  await expect.poll(readyPods, { timeout: 20_000 }).toBe(1);
  const pod = Number(await readFile(pidFile, 'utf8'));
  expect(isAlive(pod)).toBe(true);

  child?.kill('SIGTERM');
  expect(await once(child as ChildProcess, 'exit')).toEqual([0, null]);
  expect(isAlive(pod)).toBe(false);
  await expect(access(kubeconfig)).rejects.toThrow('ENOENT');
  expect(await readdir(temporary)).toEqual([]);
});

test('never takes the kubeconfig of another cluster', async () => {
  await writeFile(kubeconfig, 'current-context: production\n');
  await expect(started()).rejects.toThrow('belongs to another cluster');
  expect(child?.exitCode).toBe(2);
  expect(await readFile(kubeconfig, 'utf8')).toBe('current-context: production\n');
});

/** @returns what it has said once it is up. @throws Error with what it complained of when it ends instead */
async function started(): Promise<string> {
  const sandbox = spawn(process.execPath, [MAIN, '--kubeconfig', kubeconfig], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  child = sandbox;
  let [output, complaints] = ['', ''];
  return new Promise((resolve, reject) => {
    sandbox.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text;
    });
    sandbox.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('get nodes\n')) resolve(output);
    });
    sandbox.once('close', () => reject(new Error(complaints)));
  });
}

/** One pod, which writes its process id and stays. */
function deploymentThatSays(pidFile: string): V1Deployment {
  const labels = { app: 'probe' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'probe', namespace: 'default' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'probe',
              image: 'sandbox/sh',
              // The API makes one dollar of two.
              command: ['-c', 'echo $$$$ > "$PID_FILE"; exec sleep 1000'],
              env: [{ name: 'PID_FILE', value: pidFile }],
              readinessProbe: {
                exec: { command: ['/bin/sh', '-c', 'test -s "$PID_FILE"'] },
                periodSeconds: 1,
              },
            },
          ],
        },
      },
    },
  };
}

function isReady({ type, status }: { readonly type: string; readonly status: string }): boolean {
  return type === 'Ready' && status === 'True';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
