import type { KubeConfig } from '@kubernetes/client-node';
import { type Clock, systemClock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { connectApi, reasonOf, statusOf } from './client/api.ts';
import * as kinds from './client/kinds.ts';
import { openResource } from './client/resource.ts';
import type { Stored } from './client/wire.ts';
import { WorkQueue } from './client/work-queue.ts';
import type { Cluster, Controller } from './controller.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { disruptionBudgetController } from './disruption-budget.ts';
import { endpointsController } from './endpoints.ts';
import { jobController } from './job.ts';
import { replicaSetController } from './replica-set.ts';
import { statefulSetController } from './stateful-set.ts';

const WORKERS = 5;

export interface ControllerOptions {
  readonly log: Logger;
  readonly clock?: Clock;
}

export interface Running {
  stop(): Promise<void>;
}

/**
 * Runs the controllers of workloads against an API server, in place of a kube-controller-manager. Resolves
 * when all caches are filled and the work has begun.
 */
export async function startControllers(
  kubeConfig: KubeConfig,
  { log, clock = systemClock }: ControllerOptions,
): Promise<Running> {
  const abort = new AbortController();
  const { signal } = abort;
  const api = connectApi(kubeConfig);
  const open = <T extends Stored>(kind: kinds.Kind<T>) => openResource(api, kind, { log, clock, signal });
  const cluster: Cluster = {
    api,
    clock,
    log,
    ...(await allOf({
      pods: open(kinds.PODS),
      nodes: open(kinds.NODES),
      deployments: open(kinds.DEPLOYMENTS),
      replicaSets: open(kinds.REPLICA_SETS),
      statefulSets: open(kinds.STATEFUL_SETS),
      daemonSets: open(kinds.DAEMON_SETS),
      revisions: open(kinds.CONTROLLER_REVISIONS),
      services: open(kinds.SERVICES),
      endpoints: open(kinds.ENDPOINTS),
      endpointSlices: open(kinds.ENDPOINT_SLICES),
      disruptionBudgets: open(kinds.DISRUPTION_BUDGETS),
      jobs: open(kinds.JOBS),
    })),
  };
  const controllers = [
    deploymentController(cluster),
    replicaSetController(cluster),
    statefulSetController(cluster),
    daemonSetController(cluster),
    jobController(cluster),
    endpointsController(cluster),
    disruptionBudgetController(cluster),
  ];
  const queues = controllers.map((controller) => run(controller, cluster, signal));
  return {
    stop: async () => {
      abort.abort();
      await Promise.all(queues.map((queue) => queue.drained()));
    },
  };
}

function run(controller: Controller, { log, clock }: Cluster, signal: AbortSignal): WorkQueue {
  const onError = (key: string, error: unknown) => {
    const facts = { controller: controller.name, object: key, reason: reasonOf(error) };
    // Somebody else wrote first: ordinary, and the next attempt sees what they wrote.
    if (statusOf(error) === 409) log.debug(facts, 'written by somebody else meanwhile');
    else log.warn(facts, 'reconciling failed and is tried again');
  };
  const queue = new WorkQueue((key) => controller.reconcile(key), {
    clock,
    signal,
    workers: WORKERS,
    onError,
  });
  controller.listen((key) => queue.add(key));
  return queue;
}

async function allOf<T extends Record<string, Promise<unknown>>>(
  promises: T,
): Promise<{ [Key in keyof T]: Awaited<T[Key]> }> {
  const entries = Object.entries(promises).map(async ([name, promise]) => [name, await promise]);
  return Object.fromEntries(await Promise.all(entries));
}
