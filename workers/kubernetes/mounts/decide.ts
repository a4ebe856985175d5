import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { type PodStart, startedOtherwise } from './start.ts';

/** The volume driver that mounts what a store has, without a Secret in between. */
export const CSI_DRIVER = 'secrets-store.csi.k8s.io';

/** Which objects of which SecretProviderClass are the credential. */
export interface MountSpec {
  readonly providerClass: string;
  /** Ids as the driver reports them; may be left out where the class has one object only. */
  readonly objects: readonly string[] | undefined;
}

/** Object id: version, as the provider of the driver writes it: an id of the store, or a hash of the content. */
export type Versions = Readonly<Record<string, string>>;

/**
 * What the driver reports of one pod, or in words why it says nothing of this pod. The status is named after the pod, so
 * that one of an earlier pod of a StatefulSet may still be there: only the owner tells whose it is.
 * https://secrets-store-csi-driver.sigs.k8s.io/concepts#secretproviderclasspodstatus
 */
export function mountedOf(
  pod: ClusterObject,
  status: ClusterObject | undefined,
  { providerClass, objects }: MountSpec,
): { readonly versions: Versions } | { readonly problem: string } {
  if (!status) return { problem: `the driver has not reported what it mounted of ${providerClass}` };
  const owners: readonly { readonly uid?: string }[] = status.metadata?.ownerReferences ?? [];
  if (!owners.some(({ uid }) => uid === pod.metadata?.uid))
    return { problem: `what the driver reported of ${providerClass} is of an earlier pod of that name` };
  const { podName, secretProviderClassName, mounted, objects: found = [] } = status.status ?? {};
  if (podName !== pod.metadata?.name || secretProviderClassName !== providerClass)
    return {
      problem: `what the driver reported is of pod ${podName} and class ${secretProviderClassName}, not of ${providerClass}`,
    };
  if (mounted !== true) return { problem: `${providerClass} is not mounted` };
  const all = new Map<string, string>(
    (found as readonly { id?: string; version?: string }[]).map(({ id = '', version = '' }) => [id, version]),
  );
  const ids = objects ?? [...all.keys()];
  const known = [...all.keys()].join(', ') || 'none';
  if (!objects && ids.length !== 1)
    return {
      problem: `${providerClass} has ${ids.length} objects (${known}); name those of the credential in \`objects\``,
    };
  const missing = ids.find((id) => !all.get(id));
  if (missing !== undefined)
    return {
      problem: `the driver reports no version of object ${missing} of ${providerClass}, but of ${known}`,
    };
  return { versions: Object.fromEntries(ids.map((id) => [id, all.get(id) as string])) };
}

/** What was mounted before anything was changed: the versions of each object that any pod had. */
export interface Baseline {
  readonly versions: Readonly<Record<string, readonly string[]>>;
  /**
   * `id`: the provider reports the store's own version ids, so that the new version is told by its name. `change`: it must be
   * another than before. `anything`: the store was empty, so that whatever is mounted is new.
   */
  readonly by: 'id' | 'change' | 'anything';
  /** When the container that was started last of all had started, in milliseconds since 1970; absent when none ran. */
  readonly startedBy?: number;
}

/** Where nothing is known of what was mounted before, only the version's own name proves anything. */
export const UNKNOWN_BASELINE: Baseline = { versions: {}, by: 'id' };

/** @param current version id of the store's current version when the pods were looked at */
export function baselineOf(pods: readonly Versions[], current: string | undefined): Baseline {
  const versions: Record<string, string[]> = {};
  for (const pod of pods)
    for (const [id, version] of Object.entries(pod))
      versions[id] = [...new Set([...(versions[id] ?? []), version])].sort();
  const all = Object.values(versions);
  if (current === undefined) return { versions, by: 'anything' };
  const named = all.length > 0 && all.every((seen) => seen.some((version) => names(version, current)));
  return { versions, by: named ? 'id' : 'change' };
}

/**
 * Why a pod is not known to have the version mounted, in words; undefined when it is. Where the provider reports ids of the
 * store they must be the version's; else the version must be another than before the rotation, and on the way back one of
 * those before. Nobody but Rotor writes that path of the store meanwhile.
 */
export function behind(
  mounted: Versions,
  { versions, by }: Baseline,
  versionId: string,
  going: 'forward' | 'back',
): string | undefined {
  if (by === 'anything') return undefined;
  for (const [id, version] of Object.entries(mounted)) {
    const has = `it has version ${version} of ${id} mounted`;
    const before = versions[id] ?? [];
    if (by === 'id') {
      if (!names(version, versionId)) return `${has} instead of ${versionId}`;
    } else if (before.length === 0) return `${has}, and nobody saw which one was before the rotation`;
    else if (going === 'forward' && before.includes(version)) return `${has}, as before the rotation`;
    else if (going === 'back' && !before.includes(version)) return `${has}, and not yet the one of before`;
  }
  return undefined;
}

/** Pods that mount one class have one new version; two of them are the mark of somebody else who writes the store. */
export function disagreement(
  pods: readonly { readonly name: string; readonly versions: Versions }[],
): string | undefined {
  const [first, ...others] = pods;
  for (const { name, versions } of others)
    for (const [id, version] of Object.entries(versions))
      if (version !== first?.versions[id])
        return `pods ${first?.name} and ${name} have different versions of ${id} mounted (${first?.versions[id]} and ${version})`;
  return undefined;
}

/** One pod, and what the driver says of it. */
export interface PodMount {
  readonly name: string;
  readonly seen: ReturnType<typeof mountedOf>;
  readonly start: PodStart;
}

/** What pods are to have mounted. */
export interface WantedMount {
  readonly baseline: Baseline;
  readonly versionId: string;
  readonly going: 'forward' | 'back';
  /** Of programs that read at their start only, and are told nothing: they must have been started with what is mounted. */
  readonly atStart?: {
    /** Pods that have proven it before: what is reported now may have been written since for another object. */
    readonly proven: readonly { readonly name: string; readonly startedAt: string | undefined }[];
  };
}

/** Why it isn't proven that all pods have the version mounted, pod by pod in words; nothing when it is. */
export function lagging(
  pods: readonly PodMount[],
  { baseline, versionId, going, atStart }: WantedMount,
): readonly string[] {
  const words: string[] = [];
  const mounted: { name: string; versions: Versions }[] = [];
  for (const { name, seen, start } of pods) {
    const problem =
      'problem' in seen
        ? seen.problem
        : (behind(seen.versions, baseline, versionId, going) ??
          (atStart?.proven.some((pod) => pod.name === name && pod.startedAt === start.podAt)
            ? undefined
            : atStart && startedOtherwise(start, baseline, going)));
    if (problem !== undefined) words.push(`pod ${name}: ${problem}`);
    else if ('versions' in seen) mounted.push({ name, versions: seen.versions });
  }
  if (words.length > 0 || going === 'back') return words;
  const differ = disagreement(mounted);
  return differ === undefined ? [] : [differ];
}

/** The id itself, or a resource name that ends with it, as Google's provider writes (`projects/p/secrets/s/versions/5`). */
function names(version: string, versionId: string): boolean {
  return version === versionId || version.endsWith(`/${versionId}`);
}

/** What is read of a pod's specification. */
interface PodSpec {
  readonly volumes?: readonly {
    readonly name: string;
    readonly csi?: {
      readonly driver?: string;
      readonly volumeAttributes?: { readonly secretProviderClass?: string };
    };
  }[];
  readonly initContainers?: readonly Container[];
  readonly containers?: readonly Container[];
}

interface Container {
  readonly name: string;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly subPath?: string;
    readonly subPathExpr?: string;
  }[];
}

/** Whether pods of this specification have the class mounted, in whatever container. */
export function mountsClass({ volumes = [] }: PodSpec, providerClass: string): boolean {
  return volumesOf(volumes, providerClass).length > 0;
}

/** How many volumes of a pod are of the class: the driver reports one only. */
export function volumesOfClass({ volumes = [] }: PodSpec, providerClass: string): number {
  return volumesOf(volumes, providerClass).length;
}

/** The containers that have the class mounted; `fixed`: by `subPath`, whose files never follow. */
export function mountsIn(
  { volumes = [], initContainers = [], containers = [] }: PodSpec,
  providerClass: string,
): readonly { readonly container: string; readonly fixed: boolean }[] {
  const ours = volumesOf(volumes, providerClass);
  return [...initContainers, ...containers].flatMap(({ name: container, volumeMounts = [] }) =>
    volumeMounts
      .filter(({ name }) => ours.some((volume) => volume.name === name))
      .map(({ subPath, subPathExpr }) => ({ container, fixed: Boolean(subPath || subPathExpr) })),
  );
}

/** The same of the pods that a workload makes. */
export function mountsOf(workload: ClusterObject, providerClass: string): ReturnType<typeof mountsIn> {
  return mountsIn(workload.spec?.template?.spec ?? {}, providerClass);
}

function volumesOf(volumes: NonNullable<PodSpec['volumes']>, providerClass: string) {
  return volumes.filter(
    ({ csi }) => csi?.driver === CSI_DRIVER && csi.volumeAttributes?.secretProviderClass === providerClass,
  );
}
