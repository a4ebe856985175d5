import type { StepContext } from '../saga/context.ts';

/** Often at first, since many move within seconds; then less and less, up to ten seconds. @returns milliseconds */
export async function patience({ now }: StepContext, begun: Date | undefined): Promise<number> {
  const current = await now();
  const elapsedMs = current.getTime() - (begun ?? current).getTime();
  return Math.round(Math.min(10_000, Math.max(200, elapsedMs / 10)));
}
