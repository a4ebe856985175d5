import type { Pod, PodSpec } from '../controllers/client/wire.ts';
import { contentOf, fieldOf, type Lookup, MissingConfiguration, type PodAddress } from './configuration.ts';
import { expand } from './expansion.ts';

export type Container = PodSpec['containers'][number];

const NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/**
 * A container's environment as its spec asks for it: `envFrom` in order, then `env`, in which `$(NAME)` stands
 * for what was set before.
 * @throws MissingConfiguration when a Secret, ConfigMap or key that isn't optional doesn't exist
 */
export function resolveEnvironment(
  container: Container,
  pod: Pod,
  lookup: Lookup,
  address: PodAddress,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { prefix = '', secretRef, configMapRef } of container.envFrom ?? []) {
    const ref = secretRef ?? configMapRef;
    const content = contentOf(lookup, secretRef ? 'secret' : 'configMap', ref?.name ?? '');
    if (!content) {
      if (ref?.optional) continue;
      throw new MissingConfiguration(`${secretRef ? 'secret' : 'configmap'} "${ref?.name}" not found`);
    }
    for (const [key, value] of content)
      if (NAME.test(prefix + key)) env[prefix + key] = value.toString('utf8');
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found = valueFrom ? referredValue(valueFrom, pod, lookup, address) : expand(value ?? '', env);
    if (found !== undefined) env[name] = found;
  }
  return env;
}

type ValueSource = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

function referredValue(from: ValueSource, pod: Pod, lookup: Lookup, address: PodAddress): string | undefined {
  if (from.fieldRef) return fieldOf(pod, from.fieldRef.fieldPath, address) ?? '';
  const ref = from.secretKeyRef ?? from.configMapKeyRef;
  if (!ref) return '';
  const content = contentOf(lookup, from.secretKeyRef ? 'secret' : 'configMap', ref.name ?? '');
  if (!content) {
    if (ref.optional) return undefined;
    throw new MissingConfiguration(`${from.secretKeyRef ? 'secret' : 'configmap'} "${ref.name}" not found`);
  }
  const value = content.get(ref.key);
  if (value !== undefined) return value.toString('utf8');
  if (ref.optional) return undefined;
  const shown = from.secretKeyRef ? 'Secret' : 'ConfigMap';
  throw new MissingConfiguration(
    `couldn't find key ${ref.key} in ${shown} ${pod.metadata.namespace}/${ref.name}`,
  );
}

/** Whether a pod reads this Secret or ConfigMap anywhere: in a volume or in an environment. */
export function refersTo(spec: PodSpec, kind: 'secret' | 'configMap', name: string): boolean {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const inEnv = containers.some(
    ({ env = [], envFrom = [] }) =>
      env.some(({ valueFrom }) => valueFrom?.[`${kind}KeyRef`]?.name === name) ||
      envFrom.some((from) => from[`${kind}Ref`]?.name === name),
  );
  return inEnv || (spec.volumes ?? []).some((volume) => volumeRefersTo(volume, kind, name));
}

function volumeRefersTo(
  volume: NonNullable<PodSpec['volumes']>[number],
  kind: 'secret' | 'configMap',
  name: string,
): boolean {
  const own = kind === 'secret' ? volume.secret?.secretName : volume.configMap?.name;
  return own === name || (volume.projected?.sources ?? []).some((source) => source[kind]?.name === name);
}
