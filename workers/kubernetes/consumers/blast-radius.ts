import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster } from '../../../core/kubernetes/cluster.ts';
import type { CollectionRef, WireObject } from '../../../core/kubernetes/collections.ts';
import { type Binding, type BlastRadius, blastRadiusOf, type Role } from './readers.ts';

/** Who may read one Secret, and what could not be seen of that. */
export interface SecretReaders extends BlastRadius {
  /** `shop/db`. */
  readonly secret: string;
  readonly cluster: string;
  readonly blindSpots: readonly string[];
}

/** Gathers the roles and bindings that count for a Secret in these namespaces. Four kinds, read in pages. */
export async function readersOfSecret(
  call: Call,
  cluster: Cluster,
  { name, namespaces }: { readonly name: string; readonly namespaces: readonly string[] },
): Promise<readonly SecretReaders[]> {
  const everywhere: string[] = [];
  const clusterRoles = await all(call, cluster, 'ClusterRole', undefined, everywhere);
  const clusterRoleBindings = await all(call, cluster, 'ClusterRoleBinding', undefined, everywhere);
  const found: SecretReaders[] = [];
  for (const namespace of namespaces) {
    const blindSpots = [...everywhere];
    const roles = await all(call, cluster, 'Role', namespace, blindSpots);
    const roleBindings = await all(call, cluster, 'RoleBinding', namespace, blindSpots);
    const rbac = {
      roles: roles as readonly Role[],
      clusterRoles: clusterRoles as readonly Role[],
      roleBindings: roleBindings as unknown as readonly Binding[],
      clusterRoleBindings: clusterRoleBindings as unknown as readonly Binding[],
    };
    found.push({
      secret: `${namespace}/${name}`,
      cluster: cluster.name,
      ...blastRadiusOf(rbac, { namespace, name }),
      blindSpots,
    });
  }
  return found;
}

/** All objects of a kind; none, and a word in `blindSpots`, when they may not be listed. */
async function all(
  call: Call,
  cluster: Cluster,
  kind: string,
  namespace: string | undefined,
  blindSpots: string[],
): Promise<readonly WireObject[]> {
  const of: CollectionRef = { apiVersion: 'rbac.authorization.k8s.io/v1', kind, namespace };
  const found: WireObject[] = [];
  let token: string | undefined;
  try {
    do {
      const page = await call.deadline.run(`listing ${kind}s`, (signal) =>
        cluster.collections.page(of, { limit: 500, continue: token }, signal),
      );
      if (page === 'expired')
        throw new RotorError('cluster.unavailable', {
          what: `cluster ${cluster.name}: the list of ${kind}s expired between two pages`,
        });
      found.push(...page.items);
      token = page.continue;
    } while (token !== undefined);
    return found;
  } catch (thrown) {
    if (!(thrown instanceof RotorError) || thrown.code !== 'cluster.forbidden') throw thrown;
    blindSpots.push(thrown.message);
    return [];
  }
}
