export interface JobFacts {
  readonly completions: number;
  readonly parallelism: number;
  readonly backoffLimit: number;
  readonly suspended: boolean;
  readonly active: number;
  readonly succeeded: number;
  readonly failed: number;
}

export interface JobPlan {
  readonly create: number;
  /** Whether what still runs is ended. */
  readonly stop: boolean;
  readonly outcome: 'Complete' | 'Failed' | undefined;
  readonly reason: string;
}

/** How a Job goes on: more pods, or its end. */
export function decideJob(facts: JobFacts): JobPlan {
  const { completions, parallelism, backoffLimit, suspended, active, succeeded, failed } = facts;
  if (succeeded >= completions)
    return { create: 0, stop: active > 0, ...end(active, 'Complete', 'CompletionsReached') };
  if (failed > backoffLimit)
    return { create: 0, stop: active > 0, ...end(active, 'Failed', 'BackoffLimitExceeded') };
  if (suspended) return { create: 0, stop: active > 0, outcome: undefined, reason: '' };
  const wanted = Math.min(parallelism, completions - succeeded);
  return { create: Math.max(0, wanted - active), stop: false, outcome: undefined, reason: '' };
}

/** A Job is over only when nothing of it runs any more. */
function end(active: number, outcome: 'Complete' | 'Failed', reason: string) {
  return active > 0 ? { outcome: undefined, reason: '' } : { outcome, reason };
}
