import { WHOLE } from '../setup/matrix.ts';

/** Points at which workers are killed in one rotation, one after the other. */
export interface Turns {
  readonly points: readonly string[];
  /** The same in words. */
  readonly at: string;
}

/**
 * One rotation in which a worker is killed at each point in turn; in the whole matrix also a rotation for each
 * point alone.
 */
export function turnsOf(points: readonly string[]): readonly Turns[] {
  const turns = [points, ...(WHOLE ? points.map((point) => [point]) : [])];
  return turns.map((each) => ({ points: each, at: each.join(', ') }));
}
