import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import {
  type Cluster,
  type ClusterObject,
  nameOf,
  type ObjectRef,
} from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { hasEnded, isReady, livePods, type PodEvidence } from '../pod-evidence.ts';
import {
  type Baseline,
  baselineOf,
  CSI_DRIVER,
  lagging,
  type MountSpec,
  mountedOf,
  mountsClass,
  mountsIn,
  mountsOf,
  type PodMount,
  volumesOfClass,
  type WantedMount,
} from './decide.ts';
import { lastStart, startOf } from './start.ts';

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

/** @throws RotorError `cluster.forbidden` */
export async function assertStatusesReadable(call: Call, cluster: Cluster, namespace: string): Promise<void> {
  await assertAllowed(call, cluster, 'get', { ...statusRef(namespace, '', ''), name: '' });
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
  await assertStatusesReadable(call, cluster, namespace);
  const refused = (what: string) =>
    new RotorError('rollout.unhealthy', {
      what: `${nameOf({ kind: workload.kind ?? '', namespace, name: workload.metadata?.name ?? '' })} in cluster ${cluster.name}: ${what}`,
      hint: 'See that the Secrets Store CSI driver runs and mounts the class; nothing has been changed.',
    });
  if (mountsOf(workload, spec.providerClass).length === 0)
    throw refused(`its pods don't mount class ${spec.providerClass} by the driver ${CSI_DRIVER}`);
  const volumes = volumesOfClass(workload.spec?.template?.spec ?? {}, spec.providerClass);
  if (volumes > 1)
    throw refused(
      `its pods have ${volumes} volumes of class ${spec.providerClass}, of which the driver reports one only; one volume may be mounted in several containers`,
    );
  const pods = await livePods(call, cluster, workload);
  for (const { name, seen } of await mountsSeen(call, cluster, pods, spec))
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
  const pods = await livePods(call, cluster, workload);
  return baselineSeen(await mountsSeen(call, cluster, pods, spec), current);
}

/** What pods had mounted, as far as the driver said. @param current as for {@link baselineOf} */
export function baselineSeen(pods: readonly PodMount[], current: string | undefined): Baseline {
  const mounted = pods.flatMap(({ seen }) => ('versions' in seen ? [seen.versions] : []));
  const startedBy = lastStart(pods);
  return { ...baselineOf(mounted, current), ...(startedBy === undefined ? {} : { startedBy }) };
}

/** Every pod that runs, and how the driver's word proves that it has the version mounted. */
export async function podsMounting(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
  spec: MountSpec,
  wanted: WantedMount,
): Promise<{ readonly pods: readonly PodEvidence[] } | { readonly notYet: string }> {
  const all = await mountsSeen(call, cluster, await livePods(call, cluster, workload), spec);
  const [notYet] = lagging(all, wanted);
  return notYet === undefined ? { pods: all.map(evidenceOf) } : { notYet };
}

function evidenceOf({ pod, seen, start }: LookedAt): PodEvidence {
  return {
    name: pod.metadata?.name ?? '',
    onVersion: true,
    ready: isReady(pod),
    by: 'mounted',
    ...('versions' in seen ? { mounted: seen.versions } : {}),
    startedAt: start.podAt,
  };
}

/**
 * The pods of a namespace that mount the class, whoever made them. Those that have ended read nothing any more, and those
 * that no node has taken yet mount what the store has then.
 */
export async function podsOfClass(
  call: Call,
  cluster: Cluster,
  namespace: string,
  providerClass: string,
): Promise<readonly ClusterObject[]> {
  const pods = await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace });
  return pods.filter((pod) => !hasEnded(pod) && pod.spec?.nodeName && mountsClass(pod.spec, providerClass));
}

/** One pod, and what the driver says of it. */
export interface LookedAt extends PodMount {
  readonly pod: ClusterObject;
}

/** One small request for each pod, whatever else is in its namespace. */
export async function mountsSeen(
  call: Call,
  cluster: Cluster,
  pods: readonly ClusterObject[],
  spec: MountSpec,
): Promise<readonly LookedAt[]> {
  const looked: LookedAt[] = [];
  for (const pod of pods) {
    const { name = '', namespace = '' } = pod.metadata ?? {};
    const status = await cluster.read(call, statusRef(namespace, name, spec.providerClass));
    const mounting = mountsIn(pod.spec ?? {}, spec.providerClass).map(({ container }) => container);
    looked.push({ pod, name, seen: mountedOf(pod, status, spec), start: startOf(pod, status, mounting) });
  }
  return looked;
}

/** What to look at when the driver brings no version: it does so only where that is switched on, and not at once. */
export function rotationHint({ name: context }: Cluster): string {
  return `See that the rotation of the Secrets Store CSI driver is on (enableSecretRotation of its chart, --enable-secret-rotation of the driver; from v1.6 on also requiresRepublish of its CSIDriver object), how often it looks (rotationPollInterval), or let the pods restart (\`rolling\`), and what its log on the pod's node says: kubectl --context ${context} get secretproviderclasspodstatuses -A`;
}
