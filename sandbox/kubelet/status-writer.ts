import { backoffMs } from '../../core/retry.ts';
import { reasonOf, statusOf } from '../controllers/client/api.ts';
import type { Settings } from './options.ts';

const RETRY = { baseMs: 50, maxMs: 5_000 };
/** A status that the server refuses this often at the end of a pod is given up. */
const LAST_ATTEMPTS = 3;

/** Writes a status whenever it may have changed: one write at a time, changes meanwhile together in the next. */
export class StatusWriter {
  readonly #write: () => Promise<void>;
  readonly #settings: Pick<Settings, 'clock' | 'log'>;
  #marked = false;
  #closing = false;
  #running: Promise<void> | undefined;

  constructor(write: () => Promise<void>, settings: Pick<Settings, 'clock' | 'log'>) {
    this.#write = write;
    this.#settings = settings;
  }

  mark(): void {
    if (this.#closing) return;
    this.#marked = true;
    this.#running ??= this.#drain();
  }

  /** Resolves when what was marked is written, or can't be. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    // Changes of one moment belong into one write.
    await new Promise(setImmediate);
    for (let failures = 0; this.#marked; ) {
      this.#marked = false;
      try {
        await this.#write();
        failures = 0;
      } catch (error) {
        // The object is gone: there is nothing to write about any more.
        if (statusOf(error) === 404) break;
        failures += 1;
        if (this.#closing && failures >= LAST_ATTEMPTS) break;
        this.#settings.log.debug({ reason: reasonOf(error) }, 'status could not be written');
        this.#marked = true;
        await this.#settings.clock.sleep(backoffMs(failures, RETRY, Math.random()));
      }
    }
    this.#running = undefined;
  }
}
