/**
 * Whether every cell of every matrix runs, as in CI (`ROTOR_TEST_MATRIX=all`, see docs/development.md) and on a cluster that is
 * given. Else a sample runs, the same every time, in which each rotator, store, delivery and rollout still has its turn.
 */
export const WHOLE =
  process.env.ROTOR_TEST_MATRIX === 'all' || process.env.ROTOR_TEST_KUBECONFIG !== undefined;

/** All of them, or each `every`th, beginning with the first. */
export function sampled<T>(cells: readonly T[], every: number): readonly T[] {
  return WHOLE ? cells : cells.filter((_, n) => n % every === 0);
}
