import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { parse } from 'yaml';

const CRDS = fileURLToPath(new URL('../charts/rotor/crds/', import.meta.url));

/** Gives a new cluster Rotor's own kinds, as the chart would. */
export async function installDefinitions(kubeconfig: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const api = KubernetesObjectApi.makeApiClient(config);
  for (const file of await readdir(CRDS)) {
    await api.create(parse(await readFile(CRDS + file, 'utf8')) as KubernetesObject);
  }
}
