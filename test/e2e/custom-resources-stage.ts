import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { silentLog } from '../../core/log.ts';
import { createKeyFile } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Ledger, openLedger } from '../../ledger/database.ts';
import { listRotations, type Rotation } from '../../ledger/rotations.ts';
import { type Cluster, useCluster } from '../sandbox/cluster.ts';
import { freshDatabase } from '../setup/postgres.ts';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));
const CRDS = fileURLToPath(new URL('../../charts/rotor/crds', import.meta.url));
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const APPLY = 'application/apply-patch+yaml';
/** Waits end with what is waited for; this is for a machine that has much else to do. */
const PATIENCE_MS = 60_000;

export type Plural = 'rotationpolicies' | 'providers' | 'stores';

// biome-ignore lint/suspicious/noExplicitAny: answers are read as loosely as a shell script would.
export type Answered = any;

export interface Replica {
  readonly child: ChildProcess;
  /** All that it has written. */
  output(): string;
  stop(): Promise<void>;
}

export interface ReplicaOptions {
  /** `up`, which is orchestrator and worker in one process, when absent. */
  readonly command?: 'up' | 'orchestrator';
  /** Another user than the admin of the cluster. */
  readonly kubeconfig?: string;
}

/** A cluster with Rotor's definitions, a namespace in it, and an empty ledger. */
export interface Stage {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly ledger: Ledger;
  /** Starts an orchestrator with a worker, which follows the namespace. Any number of them may run. */
  rotor(options?: ReplicaOptions): Promise<Replica>;
  /** `kubectl apply --server-side` of one object; the answer of the API server. */
  apply(plural: Plural, object: object): Promise<{ readonly status: number; readonly body: Answered }>;
  annotate(name: string, token: string): Promise<void>;
  remove(plural: Plural, name: string): Promise<void>;
  /** Waits until the object is as `wanted` says, and returns it. */
  until(plural: Plural, name: string, wanted: (object: Answered) => unknown): Promise<Answered>;
  /** Rotations of a policy of the namespace, newest first. */
  rotations(policy: string): Promise<readonly Rotation[]>;
  /** Events about an object. */
  events(name: string): Promise<readonly Answered[]>;
  close(): Promise<void>;
}

/** For `beforeAll`; `close` it in `afterAll`. */
export async function setStage(): Promise<Stage> {
  const cluster = await useCluster();
  const namespace = await cluster.namespace();
  await installDefinitions(cluster);
  const folder = await mkdtemp(join(tmpdir(), 'rotor-crs-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const given = process.env.ROTOR_TEST_KUBECONFIG ?? '';
  const text = cluster.sandbox ? cluster.sandbox.kubeconfig() : await readFile(given, 'utf8');
  await writeFile(kubeconfig, text, { mode: 0o600 });
  const database = await freshDatabase();
  const keyFile = join(folder, 'key');
  await createKeyFile(keyFile);
  const ledger = openLedger({ url: SecretValue.of(database.url), log: silentLog });
  const children = new Set<ChildProcess>();
  const path = (plural: Plural) => `/apis/rotor.dev/v1alpha1/namespaces/${namespace}/${plural}`;
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    ROTOR_DATABASE_URL: database.url,
    ROTOR_KEY_FILE: keyFile,
    ROTOR_HOME: join(folder, 'home'),
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_LEASE: '2s',
    ROTOR_LOG_LEVEL: process.env.ROTOR_TEST_LOG_LEVEL ?? 'warn',
    ROTOR_SWEEP_INTERVAL: '100ms',
    ROTOR_WATCH_NAMESPACES: namespace,
  };
  return {
    cluster,
    namespace,
    ledger,
    rotor: async ({ command = 'up', kubeconfig: other } = {}) => {
      const own = join(folder, `kubeconfig-${children.size}`);
      if (other) await writeFile(own, other, { mode: 0o600 });
      const child = spawn(process.execPath, [ROTOR, command], {
        env: other ? { ...env, KUBECONFIG: own } : env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.add(child);
      child.once('exit', () => children.delete(child));
      const output = await started(child);
      const stop = async () => {
        child.kill('SIGTERM');
        await once(child, 'exit');
      };
      return { child, output, stop };
    },
    apply: async (plural, object) => {
      const { name } = (object as { metadata: { name: string } }).metadata;
      const url = `${path(plural)}/${name}?fieldManager=gitops&force=true`;
      return cluster.call('PATCH', url, { body: object, type: APPLY });
    },
    annotate: async (name, token) => {
      const body = { metadata: { annotations: { 'rotor.dev/rotate-now': token } } };
      const type = 'application/merge-patch+json';
      const { status } = await cluster.call('PATCH', `${path('rotationpolicies')}/${name}`, { body, type });
      if (status !== 200) throw new Error(`annotating ${name} was answered with ${status}`);
    },
    remove: async (plural, name) => {
      await cluster.call('DELETE', `${path(plural)}/${name}`);
    },
    until: async (plural, name, wanted) => {
      let last: unknown;
      for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
        const { body } = await cluster.call('GET', `${path(plural)}/${name}`);
        last = body;
        if (wanted(body)) return body;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(
        `${plural}/${name} never became what was waited for:\n${JSON.stringify(last, null, 2)}`,
      );
    },
    rotations: (policy) => listRotations(ledger, { policy: `${namespace}/${policy}` }),
    events: async (name) => {
      const selector = encodeURIComponent(`involvedObject.name=${name}`);
      const url = `/api/v1/namespaces/${namespace}/events?fieldSelector=${selector}`;
      const { body } = await cluster.call('GET', url);
      return body.items;
    },
    close: async () => {
      for (const child of children) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await ledger.close();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Status of one condition, or undefined. */
export function condition(object: Answered, type: string): Answered {
  return object.status?.conditions?.find((each: Answered) => each.type === type);
}

/** A policy for a random value, delivered to a Secret of the same name. */
export function randomPolicy(
  name: string,
  namespace: string,
  more: object = {},
  annotations?: object,
): object {
  return {
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'RotationPolicy',
    metadata: { name, ...(annotations ? { annotations } : {}) },
    spec: {
      credential: { random: {} },
      store: { path: `test/${name}` },
      deliver: [{ secret: { name, namespaces: [namespace] } }],
      settle: { grace: '0s' },
      ...more,
    },
  };
}

async function installDefinitions(cluster: Cluster): Promise<void> {
  for (const file of await readdir(CRDS)) {
    const body = parse(await readFile(join(CRDS, file), 'utf8'));
    const url = `${DEFINITIONS}/${body.metadata.name}`;
    const { status, body: answer } = await cluster.call(
      'PATCH',
      `${url}?fieldManager=rotor-test&force=true`,
      {
        body,
        type: APPLY,
      },
    );
    if (status > 201) throw new Error(`${file} was refused: ${JSON.stringify(answer)}`);
    for (let tries = 0; !(await isEstablished(cluster, url)); tries += 1) {
      if (tries > 200) throw new Error(`${file} never became Established`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function isEstablished(cluster: Cluster, url: string): Promise<boolean> {
  const { body } = await cluster.call('GET', url);
  const broken = condition(body, 'NonStructuralSchema');
  if (broken?.status === 'True') throw new Error(broken.message);
  return condition(body, 'Established')?.status === 'True';
}

/** @returns all that it has written so far */
function started(child: ChildProcess): Promise<() => string> {
  let output = '';
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (process.env.ROTOR_TEST_LOG_LEVEL) process.stderr.write(text);
        if (/ is running at /.test(output)) resolve(() => output);
      });
    }
    child.once('exit', () => reject(new Error(`rotor up ended:\n${output}`)));
  });
}
