export interface DaemonPod {
  readonly name: string;
  readonly node: string;
  readonly updated: boolean;
  readonly available: boolean;
  readonly terminating: boolean;
  readonly over: boolean;
}

export interface DaemonFacts {
  readonly nodes: readonly string[];
  readonly pods: readonly DaemonPod[];
  readonly onDelete: boolean;
  readonly maxUnavailable: number;
}

export interface DaemonPlan {
  /** Nodes that get a pod. */
  readonly create: readonly string[];
  /** Names of pods that go. */
  readonly remove: readonly string[];
}

/** One pod for every node; pods of an old template go while no more than the allowed number is missing. */
export function planDaemonSet({ nodes, pods, onDelete, maxUnavailable }: DaemonFacts): DaemonPlan {
  const create = nodes.filter((node) => !pods.some((pod) => pod.node === node));
  const alive = pods.filter(({ terminating }) => !terminating);
  const misplaced = alive.filter(({ node, over }) => over || !nodes.includes(node));
  const seated = alive.filter((pod) => !misplaced.includes(pod));
  const doubled = seated.filter(({ node }, index) => seated.findIndex((pod) => pod.node === node) < index);
  const gone = [...misplaced, ...doubled].map(({ name }) => name);
  if (onDelete) return { create, remove: gone };
  const stale = seated.filter((pod) => !pod.updated && !doubled.includes(pod));
  const broken = stale.filter(({ available }) => !available);
  const working = stale.filter(({ available }) => available);
  const missing = nodes.filter((node) => !seated.some((pod) => pod.node === node && pod.available)).length;
  const allowed = working.slice(0, Math.max(0, maxUnavailable - missing));
  return { create, remove: [...gone, ...[...broken, ...allowed].map(({ name }) => name)] };
}
