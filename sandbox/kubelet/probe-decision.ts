export interface ProbeThresholds {
  readonly failureThreshold: number;
  readonly successThreshold: number;
}

export interface ProbeTally {
  /** What the probe says at present; undefined before it said anything. */
  readonly verdict: boolean | undefined;
  /** How often in a row the last result came. */
  readonly streak: number;
  readonly last: boolean | undefined;
}

export const NO_RESULTS: ProbeTally = { verdict: undefined, streak: 0, last: undefined };

/** Adds one result: the verdict changes when as many in a row agree as the threshold asks for. */
export function tally(before: ProbeTally, success: boolean, thresholds: ProbeThresholds): ProbeTally {
  const streak = before.last === success ? before.streak + 1 : 1;
  const needed = success ? thresholds.successThreshold : thresholds.failureThreshold;
  return { verdict: streak >= needed ? success : before.verdict, streak, last: success };
}
