import { setTimeout } from 'node:timers/promises';

/** Waits for the next whole second: a cluster tells starts of pods in those, and one in the very second of a write counts as after it. */
export async function laterSecond(): Promise<void> {
  await setTimeout(1_000 - (Date.now() % 1_000));
}
