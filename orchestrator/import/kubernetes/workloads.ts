import { at, type Found, listAt, textAt } from './objects.ts';

/** Kinds of workloads, as manifests of consumers name them. */
const FIELD: Readonly<Record<string, 'deployment' | 'statefulSet' | 'daemonSet'>> = {
  Deployment: 'deployment',
  StatefulSet: 'statefulSet',
  DaemonSet: 'daemonSet',
};

export const WORKLOADS = Object.keys(FIELD).map((kind) => ['apps/v1', kind] as const);

export function isWorkload({ kind }: Found): boolean {
  return kind in FIELD;
}

/** Names of Secrets that the pods of a workload read: volumes, `env`, `envFrom`. */
export function secretsOf(workload: Found): readonly string[] {
  const pod = at(workload, 'spec', 'template', 'spec');
  const volumes = listAt(pod, 'volumes').flatMap((each) => [
    textAt(each, 'secret', 'secretName'),
    ...listAt(each, 'projected', 'sources').map((source) => textAt(source, 'secret', 'name')),
  ]);
  const containers = [...listAt(pod, 'containers'), ...listAt(pod, 'initContainers')];
  const read = containers.flatMap((each) => [
    ...listAt(each, 'env').map((one) => textAt(one, 'valueFrom', 'secretKeyRef', 'name')),
    ...listAt(each, 'envFrom').map((one) => textAt(one, 'secretRef', 'name')),
  ]);
  return [...new Set([...volumes, ...read].filter((name) => name !== undefined))];
}

/** How a consumer names the workload. */
export function workloadFieldsOf({ kind, metadata }: Found): Readonly<Record<string, string>> {
  return { [FIELD[kind] ?? 'deployment']: metadata.name, namespace: metadata.namespace };
}
