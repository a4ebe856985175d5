import type { Call } from '../../core/call.ts';
import { asRotorError } from '../../core/errors.ts';
import type { Cluster, Clusters } from '../../core/kubernetes/cluster.ts';
import type { WireObject } from '../../core/kubernetes/collections.ts';
import { Deadline } from '../../core/retry.ts';
import { clusterNamespaces } from '../../ledger/cluster-objects.ts';
import { lively } from '../../ledger/outlook.ts';
import { type Informer, startInformer } from '../../workers/kubernetes/informer.ts';
import { API_VERSION, KINDS } from '../manifests/manifest.ts';
import { manifestSchemas } from '../manifests/schemas.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type CustomResource, customResource, isNews } from './custom-resource.ts';
import { type NamespacePass, reconcileNamespace } from './namespace.ts';
import { reporterTo } from './report.ts';
import { WorkQueue } from './work-queue.ts';

export interface ReconcilerOptions {
  readonly orchestrator: Orchestrator;
  readonly clusters: Clusters;
  /** Namespaces whose custom resources are followed; all of them with `*`. */
  readonly namespaces: '*' | readonly string[];
  /** Time between looks at the ledger for what has changed there. */
  readonly lookMs: number;
}

export interface Reconciler {
  stop(): Promise<void>;
}

/** Everything is looked at again that often, whether or not anybody told of a change. */
const RESYNC_MS = 60_000;
/** Changes that come together, as of a Helm release, are one pass. */
const GATHER_MS = 50;
const WIDTH = 4;
/** What isn't there yet (a list, the next date of a policy) is looked for again after this long. */
const SOON_MS = 500;
const REQUEST_MS = 15_000;

/**
 * Follows the custom resources of a cluster: what they say is applied, what becomes of it is written into their status.
 * Any number of processes may do so at once.
 * @throws RotorError `config.invalid` when there is no kubeconfig and no ServiceAccount
 */
export async function startReconciler(options: ReconcilerOptions): Promise<Reconciler> {
  const { orchestrator, clusters, namespaces, lookMs } = options;
  const { clock, random, ledger } = orchestrator;
  const log = orchestrator.log.child({ part: 'cluster' });
  const cluster = await clusters.open(undefined);
  const call = (): Call => ({ deadline: Deadline.after(REQUEST_MS, clock), fence: 0n, clock, random, log });
  const schemas = manifestSchemas(orchestrator.registries);
  const reporter = reporterTo({ cluster, clock, log, call });
  const look: NamespacePass['look'] = async ({ kind, namespace, name }) => {
    const object = await cluster.read(call(), { apiVersion: API_VERSION, kind, namespace, name });
    return object && customResource(kind, object as unknown as WireObject);
  };
  const queue = new WorkQueue({
    work: async (namespace) => {
      const following = followers.filter(
        (each) => each.namespace === undefined || each.namespace === namespace,
      );
      // Before all is listed, what isn't there may only be unknown.
      if (!following.every(({ informer }) => informer.status().synced)) return queue.add(namespace, SOON_MS);
      const resources = following.flatMap(({ informer }) =>
        [...informer.objects.values()].filter((each) => each.namespace === namespace),
      );
      const end = await reconcileNamespace({ orchestrator, schemas, reporter, namespace, resources, look });
      if (end === 'again') queue.add(namespace, SOON_MS);
    },
    failed: (namespace, error) =>
      log.warn({ err: error, namespace }, 'custom resources could not be reconciled; it is repeated'),
    clock,
    random,
    width: WIDTH,
    gatherMs: GATHER_MS,
  });
  const followers = follow(cluster, options, (namespace) => queue.add(namespace));
  const isFollowed = (namespace: string) => namespaces === '*' || namespaces.includes(namespace);
  const resync = async () => {
    for (const { informer } of followers) {
      const { problem } = informer.status();
      if (problem) log.warn({ err: problem }, 'custom resources can not be followed; it is tried again');
      for (const { namespace } of informer.objects.values()) queue.add(namespace);
    }
    for (const namespace of await clusterNamespaces(ledger)) if (isFollowed(namespace)) queue.add(namespace);
  };
  let marks: ReadonlyMap<string, string> = new Map();
  const lookAtLedger = async () => {
    const now = await lively(ledger);
    for (const policy of new Set([...marks.keys(), ...now.keys()])) {
      const namespace = policy.split('/')[0] ?? '';
      if (marks.get(policy) !== now.get(policy) && isFollowed(namespace)) queue.add(namespace);
    }
    marks = now;
  };
  const stop = new AbortController();
  const every = async (ms: number, work: () => Promise<void>) => {
    while (!stop.signal.aborted) {
      await work().catch((thrown) =>
        log.warn({ err: asRotorError(thrown, 'following the ledger') }, 'a look failed; it is repeated'),
      );
      await clock.sleep(ms, stop.signal).catch(() => undefined);
    }
  };
  const loops = [every(RESYNC_MS, resync), every(lookMs, lookAtLedger)];
  return {
    stop: async () => {
      stop.abort();
      await Promise.all(loops);
      await Promise.all(followers.map(({ informer }) => informer.stop()));
      await queue.stop();
    },
  };
}

interface Follower {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  readonly informer: Informer<CustomResource>;
}

function follow(
  cluster: Cluster,
  { orchestrator, namespaces }: ReconcilerOptions,
  changed: (namespace: string) => void,
): readonly Follower[] {
  const { clock, random, log } = orchestrator;
  const spaces = namespaces === '*' ? [undefined] : namespaces;
  return spaces.flatMap((namespace) =>
    KINDS.map((kind) => ({
      namespace,
      informer: startInformer<CustomResource>(cluster, {
        of: { apiVersion: API_VERSION, kind, namespace },
        keep: (object) => customResource(kind, object),
        changed: ({ before, after }) => {
          if (isNews(before, after)) changed((after ?? before)?.namespace ?? '');
        },
        clock,
        random,
        log,
      }),
    })),
  );
}
