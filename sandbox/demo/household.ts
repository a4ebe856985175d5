import { systemClock } from '../../core/clock.ts';

/** Whoever hasn't stopped by then keeps nobody else waiting. */
const PATIENCE_MS = 30_000;

/** What has been started, to be stopped in reverse order: also what was still starting when the end came. */
export class Household {
  readonly #stops: (() => Promise<unknown>)[] = [];
  #ended = false;

  /**
   * @param stop is called at the end, once it has come up; never when it failed to
   * @throws Error after the end, when nothing may be started any more
   */
  async add<T>(start: () => Promise<T>, stop: (started: T) => unknown): Promise<T> {
    if (this.#ended) throw new Error('the end has begun');
    const starting = start();
    this.#stops.push(async () => {
      const started = await starting.then(
        (value) => ({ value }),
        () => undefined,
      );
      if (started) await stop(started.value);
    });
    return starting;
  }

  /** Everything gets its turn, whatever happens to the others. @returns what went wrong */
  async end(): Promise<readonly Error[]> {
    this.#ended = true;
    const errors: Error[] = [];
    for (const stop of this.#stops.splice(0).reverse())
      await withinPatience(stop()).catch((error: unknown) => {
        errors.push(error instanceof Error ? error : new Error(String(error)));
      });
    return errors;
  }
}

async function withinPatience(stopping: Promise<unknown>): Promise<void> {
  const patience = new AbortController();
  const late = systemClock.sleep(PATIENCE_MS, patience.signal).then(() => {
    throw new Error(`something did not stop within ${PATIENCE_MS / 1000} s`);
  });
  // Aborted, it rejects too, which then is no news.
  late.catch(() => undefined);
  await Promise.race([stopping, late]).finally(() => patience.abort());
}
