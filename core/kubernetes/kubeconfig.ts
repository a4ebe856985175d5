import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';

/**
 * The default kubeconfig: `KUBECONFIG`, `~/.kube/config`, or the ServiceAccount of the pod. The client drops `tokenFile` of a
 * user; here it is read again and again, as kubectl does, since such tokens are renewed in their file.
 */
export function loadDefault(config: KubeConfig): void {
  config.loadFromDefault();
  const files = process.env.KUBECONFIG?.split(delimiter).filter((file) => file !== '') ?? [];
  readTokenFiles(config, files.length > 0 ? files : [join(homedir(), '.kube', 'config')]);
}

interface Users {
  readonly users?: readonly { readonly name?: string; readonly user?: { readonly tokenFile?: unknown } }[];
}

/** @param files those that `config` was read from; one that isn't there has no users */
export function readTokenFiles(config: KubeConfig, files: readonly string[]): void {
  for (const file of files) {
    for (const { name, user } of usersIn(file)) {
      const known = name === undefined ? null : config.getUser(name);
      if (!known || typeof user?.tokenFile !== 'string') continue;
      // As the client has it for the ServiceAccount of a pod. It wins over `token`, as it does for kubectl.
      const tokenFile = resolve(dirname(file), user.tokenFile);
      Object.assign(known, { token: undefined, authProvider: { name: 'tokenFile', config: { tokenFile } } });
    }
  }
}

function usersIn(file: string): NonNullable<Users['users']> {
  try {
    return (parse(readFileSync(file, 'utf8')) as Users | null)?.users ?? [];
  } catch {
    return [];
  }
}
