import type { Cluster, Clusters } from '../../core/kubernetes/cluster.ts';

/** The clusters of a worker that is stopped before a request of this kind, once, while something else happens. */
export function interrupted(
  clusters: Clusters,
  at: 'create' | 'apply',
  meanwhile: () => Promise<unknown>,
): Clusters {
  let armed = true;
  return {
    open: async (context) => {
      const real = await clusters.open(context);
      return new Proxy(real, {
        get(target, property) {
          const value = Reflect.get(target, property, target);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]) => {
            if (property === at && armed) {
              armed = false;
              await meanwhile();
            }
            return Reflect.apply(value, target, args);
          };
        },
      }) as Cluster;
    },
  };
}
