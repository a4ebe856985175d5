import type { Deployment } from './client/wire.ts';

export type Condition = NonNullable<NonNullable<Deployment['status']>['conditions']>[number];

export interface StatusFacts {
  readonly generation: number;
  readonly replicas: number;
  readonly maxUnavailable: number;
  readonly progressDeadlineSeconds: number | undefined;
  readonly paused: boolean;
  /** The set of the current template; undefined while there is none. */
  readonly fresh: SetFacts | undefined;
  /** All sets, the fresh one included. */
  readonly all: readonly SetFacts[];
  /** What the last status said. */
  readonly before: NonNullable<Deployment['status']>;
  readonly nowMs: number;
}

export interface SetFacts {
  readonly name: string;
  readonly wanted: number;
  readonly replicas: number;
  readonly ready: number;
  readonly available: number;
}

export interface StatusDecision {
  readonly status: NonNullable<Deployment['status']>;
  /** When to look again because the progress deadline may have passed. */
  readonly againMs: number | undefined;
}

/** No deadline: what the API server's default is when someone asks for "never". */
const NO_DEADLINE = 2 ** 31 - 1;

/** What a Deployment's status says about its sets. */
export function decideStatus(facts: StatusFacts): StatusDecision {
  const sum = (count: (set: SetFacts) => number) => facts.all.reduce((total, set) => total + count(set), 0);
  const available = sum((set) => set.available);
  const counts = {
    observedGeneration: facts.generation,
    replicas: sum((set) => set.replicas),
    updatedReplicas: facts.fresh?.replicas ?? 0,
    readyReplicas: sum((set) => set.ready),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum((set) => set.wanted) - available),
  };
  const now = new Date(facts.nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const old = facts.before.conditions ?? [];
  const enough = available >= facts.replicas - facts.maxUnavailable;
  const availability = withTimes(now, old, {
    type: 'Available',
    status: enough ? 'True' : 'False',
    reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: enough
      ? 'Deployment has minimum availability.'
      : 'Deployment does not have minimum availability.',
  });
  const { progress, againMs } = decideProgress(facts, counts, now);
  const others = old.filter(({ type }) => type !== 'Available' && type !== 'Progressing');
  const conditions = [availability, ...(progress ? [progress] : []), ...others];
  return {
    status: { ...facts.before, ...counts, conditions: sameOrder(old, conditions) },
    againMs,
  };
}

interface Counts {
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
}

function decideProgress(
  facts: StatusFacts,
  counts: Counts,
  now: string,
): { progress: Condition | undefined; againMs: number | undefined } {
  const { progressDeadlineSeconds: deadline, before, fresh, replicas } = facts;
  if (deadline === undefined || deadline === NO_DEADLINE) return { progress: undefined, againMs: undefined };
  const old = before.conditions ?? [];
  const current = old.find(({ type }) => type === 'Progressing');
  const keep = { progress: current, againMs: undefined };
  if (facts.paused) return keep;
  const subject = fresh ? `ReplicaSet "${fresh.name}"` : 'Deployment';
  const settled = counts.replicas === counts.updatedReplicas && current?.reason === 'NewReplicaSetAvailable';
  const complete =
    counts.updatedReplicas === replicas &&
    counts.replicas === replicas &&
    counts.availableReplicas === replicas;
  const say = (status: string, reason: string, message: string): Condition =>
    withTimes(now, old, { type: 'Progressing', status, reason, message });
  if (settled && current) {
    // A finished rollout stays finished when pods come and go; its message follows the current set.
    const message = `${subject} has successfully progressed.`;
    return current.message === message
      ? keep
      : { progress: say('True', 'NewReplicaSetAvailable', message), againMs: undefined };
  }
  if (complete) {
    const progress = say('True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`);
    return { progress, againMs: undefined };
  }
  if (!current || progressed(before, counts)) {
    const progress = say('True', 'ReplicaSetUpdated', `${subject} is progressing.`);
    return { progress, againMs: deadline * 1000 };
  }
  if (current.reason === 'ProgressDeadlineExceeded') return keep;
  const left = Date.parse(current.lastUpdateTime ?? now) + deadline * 1000 - facts.nowMs;
  if (left >= 0) return { progress: current, againMs: left + 1 };
  const message = `${subject} has timed out progressing.`;
  return { progress: say('False', 'ProgressDeadlineExceeded', message), againMs: undefined };
}

/** Whether a rollout got further: more new pods, fewer old ones, more that are ready or available. */
function progressed(before: NonNullable<Deployment['status']>, counts: Counts): boolean {
  const oldBefore = (before.replicas ?? 0) - (before.updatedReplicas ?? 0);
  return (
    counts.updatedReplicas > (before.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > (before.readyReplicas ?? 0) ||
    counts.availableReplicas > (before.availableReplicas ?? 0)
  );
}

/** Gives a condition its times: the transition is when the status last changed, the update when anything did. */
export function withTimes(
  now: string,
  old: readonly Condition[],
  said: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
): Condition {
  const before = old.find(({ type }) => type === said.type);
  const progresses = said.reason === 'ReplicaSetUpdated';
  if (before && before.status === said.status && before.reason === said.reason && !progresses) {
    return { ...before, ...said };
  }
  const transition = before?.status === said.status ? before.lastTransitionTime : undefined;
  return { ...said, lastUpdateTime: now, lastTransitionTime: transition ?? now };
}

/** Keeps conditions where they were, so that a status that says the same is the same. */
function sameOrder(old: readonly Condition[], conditions: readonly Condition[]): Condition[] {
  const place = ({ type }: Condition) => {
    const index = old.findIndex((condition) => condition.type === type);
    return index < 0 ? old.length : index;
  };
  return [...conditions].sort((a, b) => place(a) - place(b));
}
