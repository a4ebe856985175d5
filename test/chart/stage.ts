import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KubeConfig, KubernetesObjectApi, type V1Pod } from '@kubernetes/client-node';
import { stringify } from 'yaml';
import { silentLog } from '../../core/log.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { IMAGES } from '../../sandbox/cluster.ts';
import { startControllers } from '../../sandbox/controllers/start.ts';
import { PORTS_ANNOTATION } from '../../sandbox/kubelet/ports.ts';
import { startKubelet } from '../../sandbox/kubelet/start.ts';
import { helm, type Ran } from './helm.ts';

export const IMAGE = { repository: 'registry.invalid/rotor', tag: 'under-test' };
/** Where the release lives. */
export const NAMESPACE = 'rotor';

type Made = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly [field: string]: unknown;
};

/** A sandbox whose node runs the chart's image, and Helm that works on it. */
export interface Stage {
  readonly folder: string;
  readonly api: SandboxApi;
  readonly objects: KubernetesObjectApi;
  helm(...args: string[]): Promise<Ran>;
  create(object: Made): Promise<void>;
  /** Of one key, in the namespace of the release. */
  createSecret(name: string, key: string, value: string): Promise<void>;
  read<T>(apiVersion: string, kind: string, namespace: string, name: string): Promise<T>;
  /** Addresses of the ready pods of a component, by which this machine reaches them. */
  addresses(component: 'orchestrator' | 'worker', port?: string): Promise<readonly string[]>;
  /** What the pods of the release have written, for failures. */
  logs(): Promise<string>;
  stop(): Promise<void>;
}

export async function setStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-install-'));
  const api = await startApiServer();
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  const objects = KubernetesObjectApi.makeApiClient(config);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, api.kubeconfig(), { mode: 0o600 });
  const controllers = await startControllers(config, { log: silentLog });
  const entrypoint = fileURLToPath(new URL('container.ts', import.meta.url));
  const node = await startKubelet(config, {
    nodeName: 'sandbox',
    folder: join(folder, 'node'),
    log: silentLog,
    images: { ...IMAGES, [`${IMAGE.repository}:${IMAGE.tag}`]: [process.execPath, entrypoint] },
  });
  const create = async (object: Made) => {
    await objects.create(object);
  };
  const pods = async () => (await objects.list<V1Pod>('v1', 'Pod', NAMESPACE)).items;
  return {
    folder,
    api,
    objects,
    helm: (...args) => helm([...args, '--namespace', NAMESPACE], { KUBECONFIG: kubeconfig }),
    create,
    createSecret: (name, key, value) => {
      const metadata = { name, namespace: NAMESPACE };
      const data = { [key]: Buffer.from(value).toString('base64') };
      return create({ apiVersion: 'v1', kind: 'Secret', metadata, data });
    },
    read: async <T>(apiVersion: string, kind: string, namespace: string, name: string) =>
      (await objects.read({ apiVersion, kind, metadata: { namespace, name } })) as T,
    addresses: async (component, port = component === 'worker' ? 'health' : 'http') => {
      const own = (await pods()).filter((pod) => isReady(pod) && componentOf(pod) === component);
      return own.map(({ metadata }) => {
        const ports = JSON.parse(metadata?.annotations?.[PORTS_ANNOTATION] ?? '{}');
        return `http://127.0.0.1:${ports[port]}`;
      });
    },
    logs: async () => {
      const told = (await pods()).map(async (pod) => {
        const { metadata, status } = pod;
        const log = join(folder, 'node', 'pods', metadata?.uid ?? '', 'logs', `${componentOf(pod)}.log`);
        const written = await readFile(log, 'utf8').catch(() => '');
        return `${metadata?.name}: ${stringify(status?.containerStatuses)}${written}`;
      });
      return `\n${(await Promise.all(told)).join('\n')}`;
    },
    stop: async () => {
      await node.stop();
      await controllers.stop();
      await api.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function componentOf({ metadata }: V1Pod): string {
  return metadata?.labels?.['app.kubernetes.io/component'] ?? '';
}

function isReady({ metadata, status }: V1Pod): boolean {
  return (
    metadata?.deletionTimestamp === undefined &&
    (status?.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True')
  );
}
