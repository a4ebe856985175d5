import { setTimeout } from 'node:timers/promises';

/** Waits for the next whole second: a cluster tells when pods were made in those, and one of the very second of a write is in doubt. */
export async function laterSecond(): Promise<void> {
  await setTimeout(1_000 - (Date.now() % 1_000));
}
