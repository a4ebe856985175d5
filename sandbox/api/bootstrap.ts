import { createObject } from './create.ts';
import type { JsonObject } from './json.ts';
import type { World } from './world.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Puts in what every cluster has from the start. */
export function bootstrap(world: World): void {
  for (const name of NAMESPACES) put(world, '', 'v1', 'namespaces', '', { metadata: { name } });
}

function put(
  world: World,
  group: string,
  version: string,
  plural: string,
  namespace: string,
  body: JsonObject,
): void {
  const type = world.registry.find(group, version, plural);
  if (type)
    createObject(world, type, namespace, body, { manager: 'kube-apiserver', dryRun: false, subresource: '' });
}
