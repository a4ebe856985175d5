import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { fieldsWrittenMs } from '../field-ownership.ts';
import { timeOf } from '../last-progress.ts';
import { startOfPod } from '../pod-evidence.ts';
import type { Baseline } from './decide.ts';

/** When the programs of a pod started, and since when what the driver reports of it is so. Times in milliseconds since 1970. */
export interface PodStart {
  /** `status.startTime` of the pod, by which a proof knows it again. */
  readonly podAt: string | undefined;
  /** What is reported is what was mounted when the pod came up, and was never anything else. */
  readonly unchanged: boolean;
  /** When the API server took the report, in whole seconds. */
  readonly reportedMs: number | undefined;
  /** The first and the last start of those containers that may hold what they have read; undefined while one doesn't run. */
  readonly started: { readonly firstMs: number; readonly lastMs: number } | undefined;
}

/**
 * The driver writes its report after the first mount, which no container is started before, and again whenever it has
 * mounted something else (pkg/secrets-store/nodeserver.go). The object has no status subresource, so that its generation
 * counts these writes.
 * @param mounting names of the containers that have the class mounted
 */
export function startOf(
  pod: ClusterObject,
  report: ClusterObject | undefined,
  mounting: readonly string[],
): PodStart {
  return {
    podAt: startOfPod(pod),
    unchanged: report?.metadata?.generation === 1,
    reportedMs: report && fieldsWrittenMs(report, ['status']),
    started: containersStarted(pod, mounting),
  };
}

/**
 * Why a program that reads at its start only isn't known to have what is mounted now, in words; undefined when it is. On
 * the way back a pod has it as well that has run without a restart since before the rotation.
 */
export function startedOtherwise(
  { unchanged, reportedMs, started }: PodStart,
  { startedBy }: Baseline,
  going: 'forward' | 'back',
): string | undefined {
  if (unchanged) return undefined;
  if (!started) return 'not all of its containers run';
  // In whole seconds: of those of one second nobody knows which came first.
  if (reportedMs !== undefined && started.firstMs > reportedMs) return undefined;
  if (going === 'back' && startedBy !== undefined && started.lastMs <= startedBy) return undefined;
  return 'the driver brought the version into its files, perhaps after its containers had started and read them; delete the pod, so that the next one starts with it';
}

interface Status {
  readonly name?: string;
  readonly state?: {
    readonly running?: { readonly startedAt?: unknown };
    readonly terminated?: { readonly startedAt?: unknown };
  };
}

/**
 * All containers that run, since one may have read what another left for it, and of those that have done their work before
 * them (init containers) the ones that have the class mounted. An init container that goes on beside the others
 * (`restartPolicy: Always`) is one that runs.
 */
function containersStarted(pod: ClusterObject, mounting: readonly string[]): PodStart['started'] {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const staying: readonly unknown[] = (pod.spec?.initContainers ?? []).flatMap(
    (container: { name?: string; restartPolicy?: string }) =>
      container.restartPolicy === 'Always' ? [container.name] : [],
  );
  const init: readonly Status[] = initContainerStatuses;
  const starts = [
    ...[
      ...(containerStatuses as readonly Status[]),
      ...init.filter(({ name }) => staying.includes(name)),
    ].map(({ state }) => timeOf(state?.running?.startedAt)),
    ...init
      .filter(({ name = '' }) => !staying.includes(name) && mounting.includes(name))
      .map(({ state }) => timeOf(state?.terminated?.startedAt)),
  ];
  const known = starts.filter((start) => start !== undefined);
  if (containerStatuses.length === 0 || known.length < starts.length) return undefined;
  return { firstMs: Math.min(...known), lastMs: Math.max(...known) };
}

/** When the container that was started last of all pods had started. */
export function lastStart(pods: readonly { readonly start: PodStart }[]): number | undefined {
  const starts = pods.flatMap(({ start }) => start.started?.lastMs ?? []);
  return starts.length === 0 ? undefined : Math.max(...starts);
}
