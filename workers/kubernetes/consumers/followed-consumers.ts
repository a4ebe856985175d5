import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster } from '../../../core/kubernetes/cluster.ts';
import { assertAllowed } from '../../../core/kubernetes/permissions.ts';
import { type Informer, startInformer } from '../informer.ts';
import { type Consumer, ConsumerIndex, type LogicalName } from './consumer-index.ts';
import { type Reader, readerOf, WATCHED } from './kinds.ts';

/**
 * `followed`: what the informers have heard, no request. `caught-up`: everything that the server had when it was asked,
 * at two small requests a kind.
 */
export type Freshness = 'followed' | 'caught-up';

export interface Found {
  readonly consumers: readonly Consumer[];
  /** What could not be looked at, in words. */
  readonly blindSpots: readonly string[];
}

/** The consumers of a cluster's Secrets, kept up to date from when they are first asked for. */
export interface FollowedConsumers {
  /**
   * @throws RotorError `cluster.forbidden` when pods or ReplicaSets may not be listed and watched, `cluster.unavailable`
   *   when the cluster has not been heard of for too long to be believed
   */
  of(
    call: Call,
    secret: { readonly namespaces: readonly string[]; readonly name: string },
    freshness: Freshness,
  ): Promise<Found>;
  /** Ends the watches. Asked again, it begins anew. */
  close(): Promise<void>;
}

/** A watch that is silent for longer is dead, and its informer knows; up to this it is trusted. */
const TRUSTED_MS = 120_000;
const PATIENCE_MS = 20_000;

export function followConsumers(cluster: Cluster, logicalName?: LogicalName): FollowedConsumers {
  return new Following(cluster, logicalName);
}

type Kind = (typeof WATCHED)[number];

class Following implements FollowedConsumers {
  readonly #cluster: Cluster;
  readonly #logicalName: LogicalName | undefined;
  #index: ConsumerIndex;
  /** By namespace and kind; the namespace is empty where the whole cluster is followed. */
  readonly #informers = new Map<string, Informer<Reader>>();
  #everywhere: Promise<boolean> | undefined;

  constructor(cluster: Cluster, logicalName: LogicalName | undefined) {
    this.#cluster = cluster;
    this.#logicalName = logicalName;
    this.#index = new ConsumerIndex(logicalName);
  }

  async of(
    outer: Call,
    { namespaces, name }: { readonly namespaces: readonly string[]; readonly name: string },
    freshness: Freshness,
  ): Promise<Found> {
    // Who asks is told soon that there is no answer yet; the first list goes on meanwhile.
    const call = { ...outer, deadline: outer.deadline.within(PATIENCE_MS, outer.clock) };
    const scopes = (await this.#mayWatchEverything(call)) ? [undefined] : namespaces;
    const blind = await Promise.all(
      scopes.flatMap((scope) => WATCHED.map((kind) => this.#ready(call, scope, kind, freshness))),
    );
    return {
      consumers: namespaces.flatMap((namespace) => this.#index.consumersOf(namespace, name)),
      blindSpots: [...new Set(blind.filter((each) => each !== undefined))],
    };
  }

  async close(): Promise<void> {
    const all = [...this.#informers.values()];
    this.#informers.clear();
    this.#everywhere = undefined;
    this.#index = new ConsumerIndex(this.#logicalName);
    await Promise.all(all.map((informer) => informer.stop()));
  }

  /** @returns what can't be seen of the kind, in words */
  async #ready(
    call: Call,
    namespace: string | undefined,
    kind: Kind,
    freshness: Freshness,
  ): Promise<string | undefined> {
    const informer = this.#informerOf(call, namespace, kind);
    try {
      await (freshness === 'caught-up' ? informer.caughtUp(call) : informer.synced(call));
    } catch (thrown) {
      const blind =
        thrown instanceof RotorError && ['cluster.forbidden', 'cluster.not-found'].includes(thrown.code);
      if (!blind || kind.needed) throw thrown;
      return thrown.code === 'cluster.not-found'
        ? `cluster ${this.#cluster.name} has no ${kind.kind}s of ${kind.apiVersion}`
        : `${thrown.message}: ${kind.kind}s without pods are not found`;
    }
    const { connected, silentMs = Number.POSITIVE_INFINITY, problem } = informer.status();
    if (connected || silentMs < TRUSTED_MS) return undefined;
    throw (
      problem ??
      new RotorError('cluster.unavailable', {
        what: `cluster ${this.#cluster.name} has not been heard of for too long to say who reads a Secret`,
      })
    );
  }

  #informerOf(call: Call, namespace: string | undefined, { apiVersion, kind }: Kind): Informer<Reader> {
    const key = `${namespace ?? ''}/${kind}`;
    const known = this.#informers.get(key);
    if (known) return known;
    const index = this.#index;
    const informer = startInformer<Reader>(this.#cluster, {
      of: { apiVersion, kind, namespace },
      keep: (object) => readerOf(apiVersion, kind, object),
      changed: ({ before, after }) => index.change(before, after),
      clock: call.clock,
      random: call.random,
      log: call.log,
    });
    this.#informers.set(key, informer);
    return informer;
  }

  /** One watch a kind for all namespaces where that is allowed, else one for each namespace that a policy names. */
  #mayWatchEverything(call: Call): Promise<boolean> {
    const pods = { apiVersion: 'v1', kind: 'Pod', namespace: '', name: '' };
    const ask = async () => {
      try {
        await assertAllowed(call, this.#cluster, 'list', pods);
        await assertAllowed(call, this.#cluster, 'watch', pods);
        return true;
      } catch (thrown) {
        if (thrown instanceof RotorError && thrown.code === 'cluster.forbidden') return false;
        this.#everywhere = undefined;
        if (!(thrown instanceof RotorError) || thrown.kind !== 'ambiguous') throw thrown;
        // A review is made and kept nowhere: asking again does no harm.
        throw new RotorError(thrown.code, { what: thrown.message, kind: 'retryable' });
      }
    };
    this.#everywhere ??= ask();
    return this.#everywhere;
  }
}
