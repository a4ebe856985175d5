/** What is known of the pod of one ordinal. */
export interface OrdinalFacts {
  readonly ordinal: number;
  readonly revision: string | undefined;
  readonly ready: boolean;
  readonly available: boolean;
  readonly terminating: boolean;
  /** Ended by itself (Failed or Succeeded): it is replaced. */
  readonly over: boolean;
}

export interface StatefulFacts {
  readonly replicas: number;
  readonly start: number;
  readonly parallel: boolean;
  readonly onDelete: boolean;
  /** Ordinals below this keep the current revision. */
  readonly partition: number;
  readonly currentRevision: string;
  readonly updateRevision: string;
  readonly pods: readonly OrdinalFacts[];
}

export interface StatefulPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: string }[];
  readonly remove: readonly number[];
}

const NOTHING: StatefulPlan = { create: [], remove: [] };

/**
 * The next step of a StatefulSet. In order: pods are made from the lowest ordinal up, each when those before
 * are available; surplus ones go from the highest down; then old revisions are replaced from the highest down.
 */
export function planStatefulSet(facts: StatefulFacts): StatefulPlan {
  const { replicas, start, parallel, pods } = facts;
  const byOrdinal = new Map(pods.map((pod) => [pod.ordinal, pod]));
  const wanted = Array.from({ length: replicas }, (_, index) => start + index);
  const create: { ordinal: number; revision: string }[] = [];
  const remove: number[] = [];
  for (const ordinal of wanted) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) create.push({ ordinal, revision: revisionFor(facts, ordinal) });
    else if (pod.over && !pod.terminating) remove.push(ordinal);
    const settled = pod?.available && !pod.terminating && !pod.over;
    // A pod that never gets well holds up even the update that would help it, until somebody removes it.
    if (!parallel && !settled) return { create, remove };
  }
  const surplus = pods
    .filter(({ ordinal }) => ordinal < start || ordinal >= start + replicas)
    .sort((a, b) => b.ordinal - a.ordinal);
  const [highest] = surplus;
  if (parallel)
    remove.push(...surplus.filter(({ terminating }) => !terminating).map(({ ordinal }) => ordinal));
  else if (highest) return highest.terminating ? NOTHING : { create, remove: [highest.ordinal] };
  if (create.length > 0 || remove.length > 0) return { create, remove };
  return facts.onDelete ? NOTHING : planUpdate(facts, byOrdinal);
}

/** Replaces one pod of an old revision: the highest, when all above it are up to date and available. */
function planUpdate(facts: StatefulFacts, byOrdinal: ReadonlyMap<number, OrdinalFacts>): StatefulPlan {
  const { replicas, start, partition } = facts;
  for (let ordinal = start + replicas - 1; ordinal >= start + partition; ordinal -= 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) return NOTHING;
    if (isStale(facts, pod)) return pod.terminating ? NOTHING : { create: [], remove: [ordinal] };
    if (!pod.available || pod.terminating) return NOTHING;
  }
  return NOTHING;
}

function isStale({ start, partition, updateRevision }: StatefulFacts, pod: OrdinalFacts): boolean {
  return pod.ordinal >= start + partition && pod.revision !== updateRevision;
}

/** The revision a missing pod is made with: below the partition, and where an update hasn't arrived, the current one. */
function revisionFor(facts: StatefulFacts, ordinal: number): string {
  const { start, partition, currentRevision, updateRevision } = facts;
  return ordinal < start + partition ? currentRevision : updateRevision;
}
