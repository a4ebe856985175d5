import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from '../core/log.ts';
import { type ApiServerOptions, type SandboxApi, startApiServer } from './api/server.ts';
import { startControllers } from './controllers/start.ts';
import { PodFolder } from './kubelet/pod-folder.ts';
import { startKubelet } from './kubelet/start.ts';

export interface SandboxOptions {
  /** What its node keeps: volumes and the list of its processes. */
  readonly folder: string;
  readonly log: Logger;
  readonly api?: ApiServerOptions;
}

/** A cluster on this machine: an API server in this process, a controller manager, and one node. */
export interface Sandbox {
  readonly api: SandboxApi;
  /** YAML for kubectl and every client. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

/** What the sandbox's node runs for an image: programs of this machine, not containers. */
export const IMAGES: Readonly<Record<string, readonly string[]>> = {
  'sandbox/node': [process.execPath],
  'sandbox/sh': ['/bin/sh'],
};

/** Starts it. Resolves when its node is ready for pods. */
export async function startSandbox({ folder, log, api: options }: SandboxOptions): Promise<Sandbox> {
  const nodeFolder = join(folder, 'node');
  const logFile = (uid: string, container: string) => new PodFolder(nodeFolder, uid).logFile(container);
  const api = await startApiServer({ logFile, ...options });
  const kubeconfig = api.kubeconfig();
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const controllers = await startControllers(config, { log });
  const node = await startKubelet(config, {
    nodeName: 'sandbox',
    folder: nodeFolder,
    log,
    images: IMAGES,
  });
  return {
    api,
    kubeconfig,
    stop: async () => {
      await node.stop();
      await controllers.stop();
      await api.stop();
    },
  };
}
