import type { IntOrString } from '@kubernetes/client-node';
import { resolveCount } from './rollout-decision.ts';

export interface BudgetFacts {
  readonly healthy: number;
  readonly expected: number;
  readonly minAvailable: IntOrString | undefined;
  readonly maxUnavailable: IntOrString | undefined;
}

export interface BudgetCounts {
  readonly disruptionsAllowed: number;
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
  readonly expectedPods: number;
}

/** How many pods may go: what is healthy beyond what must stay. Percentages are rounded up. */
export function decideBudget({ healthy, expected, minAvailable, maxUnavailable }: BudgetFacts): BudgetCounts {
  const desired =
    maxUnavailable === undefined
      ? resolveCount(minAvailable, expected, 'up')
      : Math.max(0, expected - resolveCount(maxUnavailable, expected, 'up'));
  const allowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
  return {
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
  };
}
