import type { Clusters } from '../../core/kubernetes/cluster.ts';
import type { Store } from '../store.ts';
import { MAX_BYTES } from './secrets.ts';
import { KubernetesSession } from './session.ts';
import { type KubernetesSpec, kubernetesSpec } from './spec.ts';

/** Versions as Secrets of a cluster, each one immutable, with one more that says which is which. */
export function kubernetesStore(clusters: Clusters): Store<KubernetesSpec> {
  return {
    kind: 'kubernetes',
    spec: kubernetesSpec,
    limits: { maxBytes: MAX_BYTES },
    open: (spec) => new KubernetesSession(spec, clusters),
  };
}
