import type { ClusterObject } from '../../core/kubernetes/cluster.ts';

/** One way in which a pod gets at a Secret. */
export type Reading =
  /** An environment variable: what it was when the container started. */
  | { readonly by: 'env'; readonly container: string }
  /** A file that follows the Secret. */
  | { readonly by: 'volume'; readonly container: string }
  /** A file that never follows it: mounted by `subPath`, it is a copy of its first content. */
  | { readonly by: 'subPath'; readonly container: string };

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly valueFrom?: { readonly secretKeyRef?: { readonly name?: string } } }[];
  readonly envFrom?: readonly { readonly secretRef?: { readonly name?: string } }[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly subPath?: string;
    readonly subPathExpr?: string;
  }[];
}

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName?: string };
  readonly projected?: { readonly sources?: readonly { readonly secret?: { readonly name?: string } }[] };
}

/** How the pods of a workload read a Secret, init containers included. */
export function readingsOf(workload: ClusterObject, secret: string): readonly Reading[] {
  const pod = workload.spec?.template?.spec ?? {};
  const volumes: readonly Volume[] = pod.volumes ?? [];
  const names = volumes
    .filter(
      (volume) =>
        volume.secret?.secretName === secret ||
        volume.projected?.sources?.some((source) => source.secret?.name === secret),
    )
    .map(({ name }) => name);
  const containers: readonly Container[] = [...(pod.initContainers ?? []), ...(pod.containers ?? [])];
  return containers.flatMap((container): Reading[] => {
    const { name, env = [], envFrom = [], volumeMounts = [] } = container;
    const inEnv =
      env.some(({ valueFrom }) => valueFrom?.secretKeyRef?.name === secret) ||
      envFrom.some(({ secretRef }) => secretRef?.name === secret);
    const mounts = volumeMounts.filter((mount) => names.includes(mount.name));
    return [
      ...(inEnv ? [{ by: 'env', container: name } as const] : []),
      ...mounts.map(
        ({ subPath, subPathExpr }) =>
          ({ by: subPath || subPathExpr ? 'subPath' : 'volume', container: name }) as const,
      ),
    ];
  });
}
