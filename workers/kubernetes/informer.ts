import type { Call } from '../../core/call.ts';
import type { Clock } from '../../core/clock.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import type {
  CollectionRef,
  Expired,
  Page,
  WatchEvent,
  WireObject,
} from '../../core/kubernetes/collections.ts';
import type { Logger } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import { backoffMs } from '../../core/retry.ts';

/** What became of one object. `before` and `after` are what {@link InformerOptions.keep} made of it. */
export interface Change<T> {
  /** `namespace/name`. */
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export interface InformerOptions<T> {
  readonly of: CollectionRef;
  /** The little of an object that stays in memory; undefined: nothing of it. Pure and quick. */
  readonly keep: (object: WireObject) => T | undefined;
  /** Told of every change, in the server's order. */
  readonly changed?: (change: Change<T>) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Pauses after failures; for tests. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
}

export interface InformerStatus {
  /** All objects were listed once. */
  readonly synced: boolean;
  /** A watch is open now. */
  readonly connected: boolean;
  /** Milliseconds since the server last said anything: a list, an event, a bookmark, or that it took the watch. */
  readonly silentMs: number | undefined;
  /** What keeps us from the server now. */
  readonly problem: RotorError | undefined;
}

/** A copy of one kind that follows the server. */
export interface Informer<T> {
  /** By `namespace/name`, as last heard. */
  readonly objects: ReadonlyMap<string, T>;
  status(): InformerStatus;
  /**
   * Resolves when all objects were listed once.
   * @throws RotorError what kept it from that: at once when it is terminal (no such kind, no permission)
   */
  synced(call: Call): Promise<void>;
  /**
   * Resolves when everything is in that the server had when this was called: asks for its version and waits until the
   * watch has passed it. Two requests at most.
   * @throws RotorError `cluster.unavailable` when it doesn't get there in time
   */
  caughtUp(call: Call): Promise<void>;
  /** Ends its requests. What was heard stays readable. */
  stop(): Promise<void>;
}

const PAGE = 500;
const BACKOFF = { baseMs: 200, maxMs: 30_000 } as const;
/** Servers bookmark about once a minute: longer silence means that the connection is dead without anybody knowing. */
const SILENCE_MS = 90_000;
/** The server bookmarks two seconds before a watch's time is over, so this one tells soon where it stands. */
const SHORT_WATCH_S = 3;
/** It ends by itself before that, unless nobody answers. */
const SHORT_SILENCE_MS = 8_000;

/**
 * Lists once in pages, then watches: goes on where a cut watch stopped, lists again only when the server no longer knows
 * that version (410), and pauses longer and longer, with jitter, while it fails. The client library's own informer asks
 * for no bookmarks and pages, and gives up when a list fails.
 */
export function startInformer<T>(cluster: Cluster, options: InformerOptions<T>): Informer<T> {
  return new RunningInformer(cluster, options);
}

class RunningInformer<T> implements Informer<T> {
  readonly objects = new Map<string, T>();
  readonly #cluster: Cluster;
  readonly #options: InformerOptions<T>;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  readonly #waiting = new Set<() => void>();
  /** The request that is open; a watch is aborted to begin another at the same place. */
  #connection: AbortController | undefined;
  /** How many wait to hear soon where the server stands. */
  #impatient = 0;
  #isShort = false;
  /** Ends the pause that is on. */
  #hurry: (() => void) | undefined;
  #watching = false;
  #version: string | undefined;
  #synced = false;
  #connected = false;
  #heardAt: number | undefined;
  #problem: RotorError | undefined;
  #failures = 0;
  /** Pages that expired before the last came: then all is asked for at once. */
  #pagesExpired = 0;

  constructor(cluster: Cluster, options: InformerOptions<T>) {
    this.#cluster = cluster;
    this.#options = options;
    this.#ended = this.#follow();
  }

  status(): InformerStatus {
    const silentMs =
      this.#heardAt === undefined ? undefined : this.#options.clock.monotonicMs() - this.#heardAt;
    return { synced: this.#synced, connected: this.#connected, silentMs, problem: this.#problem };
  }

  async synced(call: Call): Promise<void> {
    await this.#until(call, 'the first list', () => this.#synced);
  }

  async caughtUp(call: Call): Promise<void> {
    await this.synced(call);
    const { of } = this.#options;
    const known = this.#version;
    const now = await call.deadline.run(`asking for the version of the ${of.kind}s`, (signal) =>
      this.#cluster.collections.page(of, { limit: 1 }, signal),
    );
    if (now === 'expired') throw this.#behind('its version is not known');
    // What we know is of a future that the server doesn't have: its etcd was put back to an older state.
    if (known !== undefined && isPast(now.resourceVersion, known) && this.#version === known) {
      this.#version = undefined;
      this.#connection?.abort();
    }
    const passed = () => this.#version !== undefined && isAtLeast(this.#version, now.resourceVersion);
    if (passed()) return;
    // Nothing of this kind may have changed for long, so that the next bookmark is far: ask for one soon.
    this.#impatient += 1;
    if (this.#watching && !this.#isShort) this.#connection?.abort();
    this.#hurry?.();
    try {
      await this.#until(call, `version ${now.resourceVersion}`, passed);
    } finally {
      this.#impatient -= 1;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#connection?.abort();
    this.#tell();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch(this.#version ?? '');
      } catch (thrown) {
        if (signal.aborted) break;
        await this.#pause(asRotorError(thrown, `following ${this.#options.of.kind}`), signal);
        // Where no watch comes about, who waits is told by a list.
        if (this.#impatient > 0 && this.#failures > 1) this.#version = undefined;
      }
    }
    this.#connected = false;
  }

  async #list(): Promise<void> {
    const limit = this.#pagesExpired > 1 ? undefined : PAGE;
    const found = new Map<string, T>();
    let token: string | undefined;
    let version = '';
    do {
      const page = await this.#page(limit, token);
      if (page === 'expired') {
        this.#pagesExpired += 1;
        throw this.#behind('its list expired between two pages');
      }
      for (const object of page.items) {
        const kept = this.#options.keep(object);
        if (kept !== undefined) found.set(keyOf(object), kept);
      }
      token = page.continue;
      version = page.resourceVersion;
    } while (token !== undefined);
    this.#pagesExpired = 0;
    for (const key of [...this.objects.keys()]) if (!found.has(key)) this.#put(key, undefined);
    for (const [key, kept] of found) this.#put(key, kept);
    this.#version = version;
    this.#synced = true;
    this.#hear();
  }

  async #page(limit: number | undefined, token: string | undefined): Promise<Page | Expired> {
    const connection = this.#connect();
    const timer = setTimeout(() => connection.abort(), SILENCE_MS);
    try {
      const options = { limit, continue: token };
      return await this.#cluster.collections.page(this.#options.of, options, connection.signal);
    } catch (thrown) {
      throw connection.signal.aborted ? this.#behind('its list was not answered') : thrown;
    } finally {
      clearTimeout(timer);
      this.#connection = undefined;
    }
  }

  #connect(): AbortController {
    const connection = new AbortController();
    if (this.#stop.signal.aborted) connection.abort();
    this.#connection = connection;
    return connection;
  }

  async #watch(version: string): Promise<void> {
    const connection = this.#connect();
    // Between five and ten minutes, so that not all watches of all workers begin anew in one moment.
    this.#isShort = this.#impatient > 0;
    const timeoutSeconds = this.#isShort ? SHORT_WATCH_S : 300 + this.#options.random.int(300);
    this.#watching = true;
    let told = false;
    const startedAt = this.#options.clock.monotonicMs();
    try {
      const end = await this.#cluster.collections.watch(
        this.#options.of,
        {
          version,
          timeoutSeconds,
          silenceMs: this.#isShort ? SHORT_SILENCE_MS : SILENCE_MS,
          connected: () => {
            this.#connected = true;
            this.#problem = undefined;
            this.#hear();
          },
        },
        connection.signal,
        (event) => {
          told = true;
          this.#failures = 0;
          this.#apply(event);
        },
      );
      if (end === 'expired') this.#version = undefined;
      // A server that doesn't bookmark: only a list tells where it stands.
      else if (this.#isShort && !told && this.#impatient > 0) this.#version = undefined;
      // A server that ends every watch at once would be asked without a pause.
      else if (!told && this.#options.clock.monotonicMs() - startedAt < 1_000)
        throw this.#behind('its watch ended at once');
    } catch (thrown) {
      if (!connection.signal.aborted) throw thrown;
    } finally {
      this.#watching = false;
      this.#connected = false;
      this.#connection = undefined;
    }
  }

  #apply({ type, object }: WatchEvent): void {
    const version = object.metadata.resourceVersion;
    if (type !== 'BOOKMARK')
      this.#put(keyOf(object), type === 'DELETED' ? undefined : this.#options.keep(object));
    if (version) this.#version = version;
    this.#hear();
  }

  #put(key: string, after: T | undefined): void {
    const before = this.objects.get(key);
    if (after === undefined) this.objects.delete(key);
    else this.objects.set(key, after);
    if (before !== undefined || after !== undefined) this.#options.changed?.({ key, before, after });
  }

  async #pause(problem: RotorError, signal: AbortSignal): Promise<void> {
    this.#failures += 1;
    this.#problem = problem;
    this.#tell();
    const { backoff = BACKOFF, random, clock, log, of } = this.#options;
    log.debug({ err: problem, kind: of.kind, failures: this.#failures }, 'an informer goes on after a pause');
    const ms = problem.retryAfterMs ?? backoffMs(this.#failures, backoff, random.int(1_000) / 1_000);
    const pause = new AbortController();
    const end = () => pause.abort();
    signal.addEventListener('abort', end);
    // Whoever waits for an answer needn't wait for our pause as well, unless the server has asked for it.
    if (problem.retryAfterMs === undefined) this.#hurry = end;
    await clock.sleep(ms, pause.signal).catch(() => undefined);
    this.#hurry = undefined;
    signal.removeEventListener('abort', end);
  }

  #hear(): void {
    this.#heardAt = this.#options.clock.monotonicMs();
    this.#problem = undefined;
    this.#tell();
  }

  #tell(): void {
    for (const waiting of [...this.#waiting]) waiting();
  }

  async #until(call: Call, what: string, reached: () => boolean): Promise<void> {
    // Asked at every lookup: what is known already costs nothing.
    if (this.#problem?.kind === 'terminal') throw this.#problem;
    if (reached()) return;
    const name = `${this.#options.of.kind}s of cluster ${this.#cluster.name}`;
    try {
      await call.deadline.run(`waiting for ${what} of the ${name}`, async (signal) => {
        while (!reached()) {
          if (this.#stop.signal.aborted) throw this.#behind('it was stopped');
          if (this.#problem?.kind === 'terminal') throw this.#problem;
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#waiting.add(resolve);
          signal.addEventListener('abort', () => resolve());
          await promise;
          this.#waiting.delete(resolve);
          if (signal.aborted) return;
        }
      });
    } catch (thrown) {
      if (!(thrown instanceof RotorError) || thrown.code !== 'call.timeout') throw thrown;
      throw this.#problem ?? this.#behind(`it did not get to ${what} in time`);
    }
  }

  #behind(why: string): RotorError {
    const { kind, namespace } = this.#options.of;
    return new RotorError('cluster.unavailable', {
      what: `cluster ${this.#cluster.name}: the ${kind}s of ${namespace ?? 'all namespaces'} are not followed: ${why}`,
    });
  }
}

function keyOf({ metadata }: WireObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/**
 * Resource versions of one kind can be compared as numbers: documented since Kubernetes 1.35 ("comparable resource
 * version"), and so in every version before, whose etcd revisions they are.
 */
function isAtLeast(version: string, wanted: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(wanted)) return version === wanted;
  return BigInt(version) >= BigInt(wanted);
}

function isPast(version: string, known: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(known) && !isAtLeast(version, known);
}
