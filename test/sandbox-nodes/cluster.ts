import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import { createLog } from '../../core/log.ts';
import { type Api, connectApi, ignoring } from '../../sandbox/controllers/client/api.ts';
import { watchKind } from '../../sandbox/controllers/client/cache.ts';
import * as kinds from '../../sandbox/controllers/client/kinds.ts';
import type { ObjectStore } from '../../sandbox/controllers/client/object-store.ts';
import type { Pod, Stored } from '../../sandbox/controllers/client/wire.ts';
import { startControllers } from '../../sandbox/controllers/start.ts';
import { startKubelet } from '../../sandbox/kubelet/start.ts';
import {
  ANY_POD,
  forgetNode,
  nodesOf,
  ownAddress,
  TEST_NODE,
  untilPodsAreLetIn,
} from '../setup/given-cluster.ts';

/** A cluster of one node, with a namespace for one suite. */
export interface TestCluster {
  readonly api: Api;
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  readonly nodeName: string;
  readonly folder: string;
  readonly pods: ObjectStore<Pod>;
  /** Resolves with the first defined value; looks whenever a pod changes, and now and then. */
  until<T>(what: string, look: () => Promise<T | undefined> | T | undefined, ms?: number): Promise<T>;
  restartKubelet(): Promise<void>;
  stop(): Promise<void>;
}

const STAND_IN = new URL('../../sandbox/api/server.ts', import.meta.url);

/** Why there is no cluster to test against; undefined when there is one. */
export const noCluster =
  process.env.ROTOR_TEST_KUBECONFIG || existsSync(STAND_IN)
    ? undefined
    : "no ROTOR_TEST_KUBECONFIG is set, and the sandbox's own API server isn't there";

/** A cluster that is given brings its own controllers, and only the node is tested. */
export const foreignControllers = process.env.ROTOR_TEST_KUBECONFIG !== undefined;

/** Address of the pods. A real API server lists no loopback addresses behind a Service. */
const podAddress = foreignControllers ? ownAddress() : '127.0.0.1';

/** Why Services can't be tested here; undefined when they can. */
export const noServices =
  podAddress === undefined
    ? 'a real API server wants pods at an address that is not loopback, and this machine has none'
    : undefined;

/** Starts controllers and a node against the given cluster, or against the sandbox's own API server. */
export async function startCluster(): Promise<TestCluster> {
  const { kubeConfig, stopServer } = await connect();
  const log = createLog('sandbox', { level: process.env.ROTOR_TEST_LOG ?? 'error' });
  const api = connectApi(kubeConfig);
  const namespace = `nodes-${randomBytes(4).toString('hex')}`;
  const nodeName = `${TEST_NODE}${namespace}`;
  await ignoring(
    [404, 405],
    api.create(kinds.NAMESPACES, { metadata: { name: namespace, labels: ANY_POD } }),
  );
  await untilPodsAreLetIn(kubeConfig, namespace);
  const folder = await mkdtemp(join(tmpdir(), 'rotor-node-'));
  const controllers = foreignControllers ? undefined : await startControllers(kubeConfig, { log });
  const images = { 'sandbox/node': [process.execPath] };
  const start = () =>
    startKubelet(kubeConfig, {
      nodeName,
      folder,
      log,
      images,
      address: podAddress ?? '127.0.0.1',
      restartBackoff: { baseMs: 300, maxMs: 2_000 },
    });
  let kubelet = await start();
  const watching = new AbortController();
  const pods = await watchKind(api, kinds.PODS, { log, clock: systemClock, signal: watching.signal });
  return {
    api,
    kubeConfig,
    namespace,
    nodeName,
    folder,
    pods,
    until: (what, look, ms = 20_000) => until(pods, what, look, ms),
    restartKubelet: async () => {
      await kubelet.stop();
      kubelet = await start();
    },
    stop: async () => {
      await removeAll(api, namespace);
      await until(pods, 'pods to go', () => pods.list(namespace).length === 0 || undefined, 30_000);
      await kubelet.stop();
      await controllers?.stop();
      watching.abort();
      await forgetNode(kubeConfig, nodeName);
      await ignoring([404, 405], api.delete(kinds.NAMESPACES, { name: namespace }));
      await stopServer();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(): Promise<{ kubeConfig: KubeConfig; stopServer: () => Promise<void> }> {
  const kubeConfig = new KubeConfig();
  const given = process.env.ROTOR_TEST_KUBECONFIG;
  if (given) {
    kubeConfig.loadFromFile(given);
    for (const name of (await nodesOf(kubeConfig)).dead) await forgetNode(kubeConfig, name);
    return { kubeConfig, stopServer: async () => undefined };
  }
  const { startApiServer } = (await import(STAND_IN.href)) as {
    startApiServer(options: object): Promise<{ kubeconfig(): unknown; stop(): Promise<void> }>;
  };
  const server = await startApiServer({});
  const config = server.kubeconfig();
  if (config instanceof KubeConfig) return { kubeConfig: config, stopServer: () => server.stop() };
  kubeConfig.loadFromString(typeof config === 'string' ? config : JSON.stringify(config));
  return { kubeConfig, stopServer: () => server.stop() };
}

/** Owners first, so that nobody makes anew what is removed. */
async function removeAll(api: Api, namespace: string): Promise<void> {
  const order: kinds.Kind<Stored>[] = [
    kinds.DEPLOYMENTS,
    kinds.STATEFUL_SETS,
    kinds.DAEMON_SETS,
    kinds.JOBS,
    kinds.REPLICA_SETS,
    kinds.CONTROLLER_REVISIONS,
    kinds.SERVICES,
    kinds.ENDPOINTS,
    kinds.ENDPOINT_SLICES,
    kinds.DISRUPTION_BUDGETS,
    kinds.PODS,
  ];
  for (const kind of order) {
    const { items } = await api.list(kind);
    const ours = items.filter(({ metadata }) => metadata.namespace === namespace);
    await Promise.all(ours.map(({ metadata }) => ignoring([404], api.delete(kind, metadata))));
  }
}

async function until<T>(
  pods: ObjectStore<Pod>,
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  ms: number,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) {
      const states = pods
        .list()
        .slice(-20)
        .map(({ metadata, status }) => `${metadata.namespace}/${metadata.name}: ${status?.phase}`);
      throw new Error(`waited ${ms} ms in vain for: ${what}\n${states.join('\n')}`);
    }
    const changed = Promise.withResolvers<void>();
    const timer = setTimeout(changed.resolve, 100);
    const stop = pods.onChange(() => setImmediate(changed.resolve));
    await changed.promise;
    clearTimeout(timer);
    stop();
  }
}
