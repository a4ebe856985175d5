import type { Clock } from '../../core/clock.ts';

export interface Lanes<Item> {
  /** So many at once. */
  readonly width: number;
  /** What is taken waits that long at most for its turn, in milliseconds; after that it is left to others. */
  readonly freshMs: number;
  readonly clock: Clock;
  /** Takes up to `limit` that nobody is at. */
  take(limit: number): Promise<readonly Item[]>;
  /** @returns whether it succeeded; never rejects */
  work(item: Item): Promise<boolean>;
  /** Of one that waited too long. */
  leave(item: Item): Promise<void>;
}

/**
 * Works through everything that there is to take, `width` at once; one that hangs keeps its own lane only. Where as many as
 * there are lanes have failed and none has succeeded, no more is taken: whoever answers nobody is asked again later.
 */
export async function workThrough<Item>(lanes: Lanes<Item>): Promise<void> {
  const { width, freshMs, clock, take, work, leave } = lanes;
  const taken: Item[] = [];
  let freshUntil = 0;
  let failures = 0;
  let succeeded = false;
  let taking: Promise<void> | undefined;
  const next = async (): Promise<Item | undefined> => {
    if (taken.length === 0) {
      // One lane takes for all of them.
      taking ??= (async () => {
        const more = await take(width);
        freshUntil = clock.monotonicMs() + freshMs;
        taken.push(...more);
      })().finally(() => {
        taking = undefined;
      });
      await taking;
    }
    return taken.shift();
  };
  const lane = async () => {
    while (succeeded || failures < width) {
      const item = await next();
      if (item === undefined) return;
      if (clock.monotonicMs() > freshUntil) await leave(item);
      else if (await work(item)) succeeded = true;
      else failures += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  for (const item of taken) await leave(item);
}
