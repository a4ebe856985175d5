import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from '@kubernetes/client-node';
import { type Clusters, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { IMAGES, startSandbox } from '../../sandbox/cluster.ts';
import { startKubelet } from '../../sandbox/kubelet/start.ts';
import { ANY_POD, forgetNode, nodesOf, ownAddress, TEST_NODE, untilPodsAreLetIn } from './given-cluster.ts';

export interface TestCluster {
  readonly kubeconfig: string;
  /** As a worker opens it. */
  readonly clusters: Clusters;
  /** What a person would do with kubectl, with all rights. */
  readonly api: client.KubernetesObjectApi;
  /** A namespace of its own. */
  namespace(): Promise<TestNamespace>;
}

export interface TestNamespace {
  readonly name: string;
  create(object: client.KubernetesObject & { readonly [field: string]: unknown }): Promise<void>;
  remove(): Promise<void>;
}

let started: Promise<string> | undefined;
const stops: (() => Promise<void>)[] = [];

/**
 * The cluster of the tests: the sandbox, once per test file, or the one that `ROTOR_TEST_KUBECONFIG` names. A bare API
 * server with its controllers gets the sandbox's node, which runs pods as processes of this machine.
 */
export async function testCluster(): Promise<TestCluster> {
  started ??= start();
  const kubeconfig = await started;
  const config = new client.KubeConfig();
  config.loadFromString(kubeconfig);
  const api = client.KubernetesObjectApi.makeApiClient(config);
  return {
    kubeconfig,
    clusters: kubeconfigClusters((each) => each.loadFromString(kubeconfig)),
    api,
    namespace: async () => {
      const name = `rotor-${randomBytes(5).toString('hex')}`;
      const itself = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: ANY_POD } };
      await api.create(itself);
      await untilPodsAreLetIn(config, name);
      let isThere = true;
      const remove = async () => {
        if (!isThere) return;
        isThere = false;
        await api.delete(itself);
      };
      // Whoever forgets to leaves nothing in a cluster that is somebody's.
      stops.push(() => remove().catch(() => undefined));
      return {
        name,
        create: async (object) => {
          await api.create({ ...object, metadata: { namespace: name, ...object.metadata } });
        },
        remove,
      };
    },
  };
}

/** For `afterAll` of every file that used it. */
export async function stopTestCluster(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
  started = undefined;
}

async function start(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-cluster-'));
  stops.push(() => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));
  const given = process.env.ROTOR_TEST_KUBECONFIG;
  if (!given) {
    const sandbox = await startSandbox({ folder, log: silentLog });
    stops.push(sandbox.stop);
    return sandbox.kubeconfig;
  }
  const config = new client.KubeConfig();
  config.loadFromFile(given);
  const { dead, alive, foreign } = await nodesOf(config);
  for (const name of dead) await forgetNode(config, name);
  if (foreign.length > 0)
    process.stderr.write(
      `The cluster has nodes of its own (${foreign.join(', ')}), which have no image sandbox/node: suites that start pods fail there.\n`,
    );
  else if (alive.length === 0) {
    const nodeName = `${TEST_NODE}${randomBytes(4).toString('hex')}`;
    const node = await startKubelet(config, {
      nodeName,
      folder: join(folder, 'node'),
      log: silentLog,
      images: IMAGES,
      address: ownAddress() ?? '127.0.0.1',
    });
    stops.push(async () => {
      await node.stop();
      await forgetNode(config, nodeName);
    });
  }
  // Workers find it in another folder: its files by their whole paths.
  return config.exportConfig();
}
