import type { ClusterObject } from '../../core/kubernetes/cluster.ts';

/** A place of a pod's spec that names a Secret. */
export interface SecretReference {
  /** JSON pointer (RFC 6901) to the name, from the pod's spec on. */
  readonly pointer: string;
  /** The same by names where there are any, which survives that a list gets longer: `containers/web/env/PASSWORD`. */
  readonly place: string;
  readonly name: string;
}

type PodSpec = ClusterObject | Readonly<Record<string, unknown>> | undefined;
// biome-ignore lint/suspicious/noExplicitAny: a pod's spec as the API gives it; each reader names the fields it means.
type Node = any;

/**
 * Every Secret that a pod reads by name, in the order of its spec: environment, `envFrom`, volumes, projected volumes, pull
 * secrets; of init containers too. Drivers' own secrets (CSI, Ceph and the like) are not the application's.
 */
export function secretReferences(spec: PodSpec): readonly SecretReference[] {
  const pod: Node = spec ?? {};
  return [
    ...containersIn(pod, 'initContainers'),
    ...containersIn(pod, 'containers'),
    ...each(pod.volumes).flatMap(([volume, index]) => volumeReferences(volume, index)),
    ...each(pod.imagePullSecrets).flatMap(([pull, index]) =>
      found(pull.name, `/imagePullSecrets/${index}/name`, `imagePullSecrets/${index}`),
    ),
  ];
}

function containersIn(pod: Node, list: 'initContainers' | 'containers'): readonly SecretReference[] {
  return each(pod[list]).flatMap(([container, at]) => {
    const place = `${list}/${container.name}`;
    return [
      ...each(container.env).flatMap(([variable, index]) =>
        found(
          variable.valueFrom?.secretKeyRef?.name,
          `/${list}/${at}/env/${index}/valueFrom/secretKeyRef/name`,
          `${place}/env/${variable.name}`,
        ),
      ),
      ...each(container.envFrom).flatMap(([source, index]) =>
        found(
          source.secretRef?.name,
          `/${list}/${at}/envFrom/${index}/secretRef/name`,
          `${place}/envFrom/${index}`,
        ),
      ),
    ];
  });
}

function volumeReferences(volume: Node, at: number): readonly SecretReference[] {
  const place = `volumes/${volume.name}`;
  return [
    ...found(volume.secret?.secretName, `/volumes/${at}/secret/secretName`, place),
    ...each(volume.projected?.sources).flatMap(([source, index]) =>
      found(
        source.secret?.name,
        `/volumes/${at}/projected/sources/${index}/secret/name`,
        `${place}/sources/${index}`,
      ),
    ),
  ];
}

function found(name: unknown, pointer: string, place: string): readonly SecretReference[] {
  return typeof name === 'string' && name !== '' ? [{ pointer, place, name }] : [];
}

function each(list: unknown): readonly (readonly [Node, number])[] {
  return Array.isArray(list) ? list.map((item, index) => [item, index] as const) : [];
}

/** A copy of a pod's spec (plain JSON) in which the places have other names. */
export function withNames(
  spec: Readonly<Record<string, unknown>>,
  renamed: readonly { readonly pointer: string; readonly name: string }[],
): Readonly<Record<string, unknown>> {
  const copy: Node = structuredClone(spec);
  for (const { pointer, name } of renamed) {
    const path = pointer.slice(1).split('/');
    const last = path.pop() ?? '';
    const parent: Node = path.reduce((node, step) => node[step], copy);
    parent[last] = name;
  }
  return copy;
}
