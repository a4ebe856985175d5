import { isDeepStrictEqual } from 'node:util';
import type { Job } from './client/wire.ts';
import type { Again } from './client/work-queue.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import { decideJob } from './job-decision.ts';
import { generatedName } from './names.ts';
import { isActive, isReady, podFrom } from './pod-facts.ts';

const OWNER = { apiVersion: 'batch/v1', kind: 'Job' };

/** Runs pods until as many have succeeded as are asked for. */
export function jobController(cluster: Cluster): Controller {
  const { jobs, pods } = cluster;
  return {
    name: 'job',
    listen: (enqueue) => {
      onObjects(jobs.cache, enqueue);
      onOwned(pods.cache, 'Job', enqueue);
    },
    reconcile: async (key) => {
      const job = jobs.cache.byKey(key);
      return job && !job.metadata.deletionTimestamp ? reconcile(cluster, job) : undefined;
    },
  };
}

async function reconcile({ jobs, pods, clock }: Cluster, job: Job): Promise<Again> {
  const { name, namespace, uid } = job.metadata;
  const { conditions = [] } = job.status ?? {};
  const over = conditions.some(
    ({ type, status }) => status === 'True' && ['Complete', 'Failed'].includes(type),
  );
  if (over) return undefined;
  const owned = pods.cache.ownedBy(uid);
  const count = (phase: string) => owned.filter(({ status }) => status?.phase === phase).length;
  const now = clock
    .now()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');
  const plan = decideJob({
    completions: job.spec.completions ?? 1,
    parallelism: job.spec.parallelism ?? 1,
    backoffLimit: job.spec.backoffLimit ?? 6,
    suspended: job.spec.suspend ?? false,
    active: owned.filter(isActive).length,
    succeeded: count('Succeeded'),
    failed: count('Failed'),
  });
  for (let made = 0; made < plan.create; made += 1)
    await pods.create(
      podFrom(job.spec.template, generatedName(`${name}-`), namespace, { ...OWNER, metadata: job.metadata }),
    );
  if (plan.stop) for (const pod of pods.cache.ownedBy(uid).filter(isActive)) await pods.remove(pod);
  const active = pods.cache.ownedBy(uid).filter(isActive);
  const known = job.status ?? {};
  // The API server wants the criteria to be said before the end itself.
  const said = plan.outcome
    ? [criteria(plan.outcome), plan.outcome].map((type) => ({
        type,
        status: 'True',
        reason: plan.reason,
        message: '',
        lastProbeTime: now,
        lastTransitionTime: now,
      }))
    : [];
  const status = {
    ...known,
    startTime: known.startTime ?? now,
    active: active.length,
    ready: active.filter(isReady).length,
    succeeded: count('Succeeded'),
    failed: count('Failed'),
    terminating: 0,
    uncountedTerminatedPods: {},
    ...(said.length > 0 ? { conditions: said } : {}),
    ...(plan.outcome === 'Complete' ? { completionTime: now } : {}),
  };
  const zeros = { active: 0, succeeded: 0, failed: 0 };
  if (!isDeepStrictEqual({ ...zeros, ...known }, status)) await jobs.updateStatus({ ...job, status });
  return undefined;
}

function criteria(outcome: 'Complete' | 'Failed'): string {
  return outcome === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
}
