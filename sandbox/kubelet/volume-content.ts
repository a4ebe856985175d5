import type { Pod, PodSpec } from '../controllers/client/wire.ts';
import { contentOf, fieldOf, type Lookup, MissingConfiguration, type PodAddress } from './configuration.ts';

export type Volume = NonNullable<PodSpec['volumes']>[number];

export interface VolumeFile {
  readonly data: Buffer;
  readonly mode: number;
}

export type VolumeContent = ReadonlyMap<string, VolumeFile>;

interface Item {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

const DEFAULT_MODE = 0o644;

/**
 * The files of a secret, configMap, downwardAPI or projected volume; undefined for volumes whose content is
 * the containers' own.
 * @throws MissingConfiguration when something that isn't optional doesn't exist
 */
export function contentOfVolume(
  volume: Volume,
  pod: Pod,
  lookup: Lookup,
  address: PodAddress,
): VolumeContent | undefined {
  const { secret, configMap, downwardAPI, projected } = volume;
  if (secret) {
    const { secretName: name = '', defaultMode, items, optional } = secret;
    return pick(lookup, 'secret', name, { items, optional, mode: defaultMode });
  }
  if (configMap) {
    const { name = '', defaultMode, items, optional } = configMap;
    return pick(lookup, 'configMap', name, { items, optional, mode: defaultMode });
  }
  if (downwardAPI) return fields(downwardAPI.items ?? [], pod, address, downwardAPI.defaultMode);
  if (!projected) return undefined;
  const mode = projected.defaultMode;
  const parts = (projected.sources ?? []).map((source): VolumeContent => {
    if (source.secret) return pick(lookup, 'secret', source.secret.name ?? '', { ...source.secret, mode });
    if (source.configMap)
      return pick(lookup, 'configMap', source.configMap.name ?? '', { ...source.configMap, mode });
    if (source.downwardAPI) return fields(source.downwardAPI.items ?? [], pod, address, mode);
    return new Map();
  });
  return new Map(parts.flatMap((part) => [...part]));
}

interface Picked {
  readonly items?: readonly Item[] | undefined;
  readonly optional?: boolean | undefined;
  readonly mode: number | undefined;
}

function pick(
  lookup: Lookup,
  kind: 'secret' | 'configMap',
  name: string,
  { items, optional, mode = DEFAULT_MODE }: Picked,
): VolumeContent {
  const content = contentOf(lookup, kind, name);
  if (!content) {
    if (optional) return new Map();
    throw new MissingConfiguration(`${kind.toLowerCase()} "${name}" not found`);
  }
  if (!items) return new Map([...content].map(([path, data]) => [path, { data, mode }]));
  const chosen = items.flatMap(({ key, path, mode: own = mode }) => {
    const data = content.get(key);
    if (data) return [[path, { data, mode: own }] as const];
    if (optional) return [];
    throw new MissingConfiguration(`references non-existent ${kind.toLowerCase()} key: ${key}`);
  });
  return new Map(chosen);
}

interface FieldItem {
  readonly path: string;
  readonly mode?: number;
  readonly fieldRef?: { readonly fieldPath: string };
}

function fields(
  items: readonly FieldItem[],
  pod: Pod,
  address: PodAddress,
  mode = DEFAULT_MODE,
): VolumeContent {
  return new Map(
    items.map(({ path, fieldRef, mode: own = mode }) => {
      const value = (fieldRef && fieldOf(pod, fieldRef.fieldPath, address)) ?? '';
      return [path, { data: Buffer.from(value), mode: own }];
    }),
  );
}
