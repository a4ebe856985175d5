import type { Call } from '../call.ts';
import type { Cluster, ObjectRef } from './cluster.ts';
import { forbidden, pluralOf } from './cluster-errors.ts';

/**
 * Asks the API server whether we may, before anything is changed.
 * @throws RotorError `cluster.forbidden` naming verb and object
 */
export async function assertAllowed(
  call: Call,
  cluster: Cluster,
  verb: 'get' | 'create' | 'patch' | 'list' | 'watch' | 'delete',
  { apiVersion, kind, namespace, name }: ObjectRef,
  subresource?: 'status',
): Promise<void> {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  // `create` can't be granted by name: the object has none yet.
  const named = verb === 'create' || name === '' ? {} : { name };
  const review = await cluster.create(call, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    metadata: { name: '' },
    spec: {
      resourceAttributes: {
        group,
        resource: pluralOf(kind),
        ...(subresource ? { subresource } : {}),
        namespace,
        verb,
        ...named,
      },
    },
  });
  if (review.status?.allowed === true) return;
  throw forbidden({
    verb,
    apiVersion,
    kind,
    namespace,
    name,
    cluster: cluster.name,
    ...(subresource ? { subresource } : {}),
  });
}
