import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterAll } from 'vitest';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { ANY_POD, untilPodsAreLetIn } from '../setup/given-cluster.ts';

const given = process.env.ROTOR_TEST_KUBECONFIG;

/** A cluster under test: the sandbox, or the one that ROTOR_TEST_KUBECONFIG names. */
export interface Cluster {
  /** Undefined on a real cluster: what only the sandbox can do (faults, users) is skipped there. */
  readonly sandbox: SandboxApi | undefined;
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly objects: KubernetesObjectApi;
  /** A fresh namespace, deleted when the suite ends. */
  namespace(): Promise<string>;
  /** Deleted when the suite ends, whatever became of it. */
  cleanUp(path: string): void;
  /** One raw request as the admin, for what client libraries hide. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  kubectl(...args: string[]): Promise<string>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly type?: string;
  readonly accept?: string;
  readonly token?: string;
  /** Whom the admin acts as. */
  readonly as?: string;
}

export interface Answer {
  readonly status: number;
  // Answers are read as loosely as a shell script would.
  // biome-ignore lint/suspicious/noExplicitAny: tests look at single fields of arbitrary objects
  readonly body: any;
  readonly headers: Headers;
}

export const onSandbox = given === undefined;

/** Registered when a test file imports this: a hook that asks for another one is not heard. */
const cleanUps: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Connects to the cluster under test for one suite. */
export async function useCluster(): Promise<Cluster> {
  const sandbox = given === undefined ? await startApiServer() : undefined;
  const config = new KubeConfig();
  // Files that a kubeconfig names lie beside it.
  if (sandbox) config.loadFromString(sandbox.kubeconfig());
  else config.loadFromFile(given ?? '');
  const core = config.makeApiClient(CoreV1Api);
  const call = caller(config);
  const paths: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'rotor-cluster-'));
  const kubeconfig = sandbox ? join(folder, 'kubeconfig') : (given ?? '');
  if (sandbox) await writeFile(kubeconfig, sandbox.kubeconfig(), { mode: 0o600 });
  cleanUps.push(async () => {
    for (const path of paths.reverse()) await call('DELETE', path);
    await sandbox?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    sandbox,
    config,
    core,
    objects: KubernetesObjectApi.makeApiClient(config),
    namespace: async () => {
      const name = `rotor-test-${randomBytes(5).toString('hex')}`;
      await core.createNamespace({ body: { metadata: { name, labels: ANY_POD } } });
      paths.push(`/api/v1/namespaces/${name}`);
      await untilPodsAreLetIn(config, name);
      return name;
    },
    cleanUp: (path) => paths.push(path),
    call,
    kubectl: (...args) => runKubectl(['--kubeconfig', kubeconfig, ...args]),
  };
}

function caller(config: KubeConfig): Cluster['call'] {
  const server = config.getCurrentCluster()?.server;
  return async (method, path, options = {}) => {
    // Token, or certificate, whatever the kubeconfig has; a token of somebody else must come alone.
    const admin: RequestOptions = {};
    await config.applyToHTTPSOptions(admin);
    const { ca, rejectUnauthorized, servername } = admin;
    const connection =
      options.token === undefined
        ? admin
        : { ca, rejectUnauthorized, servername, headers: { authorization: `Bearer ${options.token}` } };
    return requestWith(connection)(new URL(path, server), method, options);
  };
}

function requestWith(connection: RequestOptions) {
  return async (url: URL, method: string, options: CallOptions): Promise<Answer> => {
    const { request } = await import('node:https');
    const body = options.body === undefined ? undefined : textOf(options.body);
    return new Promise((resolve, reject) => {
      const headers = {
        ...connection.headers,
        accept: options.accept ?? 'application/json',
        'user-agent': 'rotor-test/1',
        ...(options.as === undefined ? {} : { 'impersonate-user': options.as }),
        ...(body === undefined
          ? {}
          : {
              'content-type': options.type ?? 'application/json',
              'content-length': String(Buffer.byteLength(body)),
            }),
      };
      const sent = request(url, { ...connection, method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const parsed = (response.headers['content-type'] ?? '').includes('json') ? lines(text) : text;
          resolve({
            status: response.statusCode ?? 0,
            body: parsed,
            headers: new Headers(response.headers as Record<string, string>),
          });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  };
}

/** A watch answers many objects, one a line; all else is one. */
function lines(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

const KUBECTL = process.env.ROTOR_TEST_KUBECTL ?? 'kubectl';

function runKubectl(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(KUBECTL, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr || error.message));
      else resolve(stdout);
    });
  });
}

/** Why suites with kubectl can't run, or undefined when they can. */
export async function kubectlMissing(): Promise<string | undefined> {
  try {
    await runKubectl(['version', '--client']);
    return undefined;
  } catch {
    return 'no kubectl on this machine (put it on PATH or name it in ROTOR_TEST_KUBECTL)';
  }
}
