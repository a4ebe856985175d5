import type { Call } from '../../core/call.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { nameOf } from '../../core/kubernetes/cluster.ts';
import type { ObjectName } from '../kubernetes/consumers/kinds.ts';
import { listedOrWarning } from '../kubernetes/listed.ts';

/**
 * Controllers that replace pods go by the workload's own strategy and ask no PodDisruptionBudget
 * (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/): where a budget allows no pod to be missing, and the
 * strategy takes one away before the next is there, somebody should know beforehand.
 */
export async function budgetWarnings(
  call: Call,
  cluster: Cluster,
  workloads: readonly ObjectName[],
): Promise<readonly string[]> {
  const warnings: string[] = [];
  for (const namespace of new Set(workloads.map((each) => each.namespace))) {
    const budgets = await budgetsIn(call, cluster, namespace);
    if (typeof budgets === 'string') {
      warnings.push(budgets);
      continue;
    }
    if (!budgets.some(allowsNone)) continue;
    for (const ref of workloads.filter((each) => each.namespace === namespace)) {
      const workload = await cluster.read(call, ref);
      const warning = workload && budgetWarning(workload, budgets);
      if (warning) warnings.push(`${nameOf(ref)}: ${warning}`);
    }
  }
  return warnings;
}

function budgetsIn(call: Call, cluster: Cluster, namespace: string) {
  return listedOrWarning(call, cluster, { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', namespace });
}

/** @returns what a rollout of the workload would do against a budget; undefined when it keeps within all */
export function budgetWarning(
  workload: ClusterObject,
  budgets: readonly ClusterObject[],
): string | undefined {
  const labels: Labels = workload.spec?.template?.metadata?.labels ?? {};
  const budget = budgets.find((each) => allowsNone(each) && matches(labels, each.spec?.selector));
  if (!budget || !takesAwayFirst(workload)) return undefined;
  return `its strategy takes a pod away before the next is ready, and PodDisruptionBudget ${budget.metadata?.name} allows none to be missing now; controllers don't ask it`;
}

/**
 * A budget that allows no pod to be missing just now, though it would if all were healthy (a node is being drained, say): a
 * strategy that takes one away first waits for it. One that never allows any would be waited for in vain, and is a warning of
 * `plan` only.
 * @returns words while there is such a budget; undefined when there is none, or budgets may not be listed
 */
export async function heldByBudget(
  call: Call,
  cluster: Cluster,
  workload: ClusterObject,
): Promise<string | undefined> {
  const namespace = workload.metadata?.namespace ?? '';
  const budgets = takesAwayFirst(workload) ? await budgetsIn(call, cluster, namespace) : [];
  return typeof budgets === 'string' ? undefined : holding(workload, budgets);
}

export function holding(workload: ClusterObject, budgets: readonly ClusterObject[]): string | undefined {
  const labels: Labels = workload.spec?.template?.metadata?.labels ?? {};
  const budget = budgets.find(
    (each) => allowsNone(each) && mayAllow(each) && matches(labels, each.spec?.selector),
  );
  if (!budget || !takesAwayFirst(workload)) return undefined;
  const { currentHealthy, desiredHealthy } = budget.status ?? {};
  return `PodDisruptionBudget ${budget.metadata?.name} allows no pod to be missing now (${currentHealthy} are healthy, ${desiredHealthy} must be)`;
}

function mayAllow({ status }: ClusterObject): boolean {
  return (status?.expectedPods ?? 0) > (status?.desiredHealthy ?? 0);
}

function allowsNone({ status }: ClusterObject): boolean {
  return status?.disruptionsAllowed === 0;
}

function takesAwayFirst({ kind, spec = {} }: ClusterObject): boolean {
  if (kind === 'Deployment') {
    if (spec.strategy?.type === 'Recreate') return true;
    const most = spec.strategy?.rollingUpdate?.maxUnavailable ?? '25%';
    // A share is rounded down: a quarter of three pods is none.
    const share = /^(\d+)%$/.exec(String(most))?.[1];
    return share === undefined
      ? Number(most) > 0
      : Math.floor(((spec.replicas ?? 1) * Number(share)) / 100) > 0;
  }
  if (kind === 'DaemonSet') {
    const surge = spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0;
    return surge === 0 || surge === '0%';
  }
  return kind === 'StatefulSet';
}

type Labels = Readonly<Record<string, string>>;

interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** In policy/v1 an empty selector means every pod of the namespace. */
function matches(labels: Labels, selector: Selector | undefined): boolean {
  if (!selector) return false;
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return (
    equal &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      const among = value !== undefined && values.includes(value);
      return operator === 'In' ? among : !among;
    })
  );
}
