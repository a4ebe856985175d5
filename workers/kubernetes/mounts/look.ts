import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { isReady, livePods, type PodEvidence } from '../pod-evidence.ts';
import {
  type Baseline,
  baselineOf,
  behind,
  CSI_DRIVER,
  disagreement,
  type MountSpec,
  mountedOf,
  mountsOf,
  type Versions,
} from './decide.ts';

/**
 * What the Secrets Store CSI driver reports of a pod and a class, one object for each pair.
 * https://secrets-store-csi-driver.sigs.k8s.io/concepts#secretproviderclasspodstatus
 */
function statusRef(namespace: string, pod: string, providerClass: string): ObjectRef {
  return {
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClassPodStatus',
    namespace,
    name: `${pod}-${namespace}-${providerClass}`,
  };
}

/**
 * Before anything is changed: the pods mount the class, and the driver says of each what it mounted.
 * @throws RotorError `cluster.forbidden` when that may not be read, `rollout.unhealthy` when it isn't said
 */
export async function assertMounted(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  spec: MountSpec,
): Promise<void> {
  const namespace = workload.metadata?.namespace ?? '';
  await assertAllowed(call, cluster, 'get', { ...statusRef(namespace, '', spec.providerClass), name: '' });
  const refused = (what: string) =>
    new RotorError('rollout.unhealthy', {
      what: `${nameOf({ kind: workload.kind ?? '', namespace, name: workload.metadata?.name ?? '' })} in cluster ${cluster.name}: ${what}`,
      hint: 'See that the Secrets Store CSI driver runs and mounts the class; nothing has been changed.',
    });
  if (mountsOf(workload, spec.providerClass).length === 0)
    throw refused(`its pods don't mount class ${spec.providerClass} by the driver ${CSI_DRIVER}`);
  for (const { name, seen } of await mountsSeen(call, cluster, workload, spec))
    if ('problem' in seen) throw refused(`pod ${name}: ${seen.problem}`);
}

/** What the pods have mounted now, as far as the driver says. Nothing of a cluster without the driver. */
export async function mountBaseline(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  spec: MountSpec,
  current: string | undefined,
): Promise<Baseline> {
  const all = await mountsSeen(call, cluster, workload, spec);
  return baselineOf(
    all.flatMap(({ seen }) => ('versions' in seen ? [seen.versions] : [])),
    current,
  );
}

/** Every pod that runs, and how the driver's word proves that it has the version mounted. */
export async function podsMounting(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  spec: MountSpec,
  wanted: { readonly baseline: Baseline; readonly versionId: string; readonly going: 'forward' | 'back' },
): Promise<{ readonly pods: readonly PodEvidence[] } | { readonly notYet: string }> {
  const { baseline, versionId, going } = wanted;
  const all: { name: string; versions: Versions; evidence: PodEvidence }[] = [];
  for (const { pod, name, seen } of await mountsSeen(call, cluster, workload, spec)) {
    const problem = 'problem' in seen ? seen.problem : behind(seen.versions, baseline, versionId, going);
    if (problem !== undefined || 'problem' in seen) return { notYet: `pod ${name}: ${problem}` };
    all.push({ name, versions: seen.versions, evidence: evidenceOf(pod, seen.versions) });
  }
  const differ = going === 'forward' ? disagreement(all) : undefined;
  return differ === undefined ? { pods: all.map(({ evidence }) => evidence) } : { notYet: differ };
}

function evidenceOf(pod: ClusterObject, versions: Versions): PodEvidence {
  const startedAt = pod.status?.startTime;
  return {
    name: pod.metadata?.name ?? '',
    onVersion: true,
    ready: isReady(pod),
    by: 'mounted',
    mounted: versions,
    startedAt: startedAt instanceof Date ? startedAt.toISOString() : startedAt,
  };
}

/** One small request for each pod of the workload, whatever else is in its namespace. */
async function mountsSeen(call: Call, cluster: Cluster, workload: ClusterObject, spec: MountSpec) {
  const seen = [];
  for (const pod of await livePods(call, cluster, workload)) {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const status = await cluster.read(call, statusRef(namespace, name, spec.providerClass));
    seen.push({ pod, name, seen: mountedOf(pod, status, spec) });
  }
  return seen;
}
