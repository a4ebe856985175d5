import { createObject } from './create.ts';
import type { JsonObject } from './json.ts';
import { bootstrapRoles } from './rbac.ts';
import type { World } from './world.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const BOUND: Readonly<Record<string, string>> = {
  'cluster-admin': 'system:masters',
  'system:discovery': 'system:authenticated',
  'system:basic-user': 'system:authenticated',
};

/** Puts in what every cluster has from the start. */
export function bootstrap(world: World): void {
  for (const name of NAMESPACES) put(world, '', 'v1', 'namespaces', '', { metadata: { name } });
  const rbac = 'rbac.authorization.k8s.io';
  for (const [name, rules] of Object.entries(bootstrapRoles())) {
    put(world, rbac, 'v1', 'clusterroles', '', { metadata: { name }, rules });
  }
  for (const [name, group] of Object.entries(BOUND)) {
    const roleRef = { kind: 'ClusterRole', name };
    const subjects = [{ kind: 'Group', name: group }];
    put(world, rbac, 'v1', 'clusterrolebindings', '', { metadata: { name }, roleRef, subjects });
  }
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
