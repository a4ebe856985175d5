import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ObjectRef } from './cluster.ts';

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
        resource: `${kind.toLowerCase()}s`,
        ...(subresource ? { subresource } : {}),
        namespace,
        verb,
        ...named,
      },
    },
  });
  if (review.status?.allowed === true) return;
  throw new RotorError('cluster.forbidden', {
    what: `cluster ${cluster.name}: the user of the kubeconfig may not ${verb} ${kind}${subresource ? `/${subresource}` : ''} ${namespace}${name ? `/${name}` : ''}`,
    hint: `Grant it the verb "${verb}" on ${kind.toLowerCase()}s${subresource ? `/${subresource}` : ''}${group ? ` of ${group}` : ''} in namespace ${namespace}.`,
  });
}
