import { Watch } from '@kubernetes/client-node';
import type { Clock } from '../../../core/clock.ts';
import type { Logger } from '../../../core/log.ts';
import { backoffMs } from '../../../core/retry.ts';
import { type Api, reasonOf, statusOf } from './api.ts';
import { type Kind, pathOf } from './kinds.ts';
import { ObjectStore } from './object-store.ts';
import type { Stored } from './wire.ts';

const RECONNECT = { baseMs: 100, maxMs: 10_000 };

export interface CacheOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Keeps a store equal to what the server has: lists once, then watches, and lists again only when the server
 * no longer remembers where the watch stopped. Resolves after the first list; ends with the signal.
 */
export async function watchKind<T extends Stored>(
  api: Api,
  kind: Kind<T>,
  { log, clock, signal }: CacheOptions,
): Promise<ObjectStore<T>> {
  const store = new ObjectStore<T>();
  const listed = Promise.withResolvers<void>();
  const follow = async () => {
    let version = '';
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (version === '') {
          const list = await api.list(kind);
          store.replace(list.items, list.resourceVersion);
          version = list.resourceVersion;
          listed.resolve();
        }
        const end = await watchFrom(api, kind, version, signal, (event) => {
          failures = 0;
          log.trace({ kind: kind.kind, event: event.type, name: event.object.metadata.name }, 'watch event');
          if (event.type !== 'BOOKMARK') store.apply(event.type, event.object);
          version = event.object.metadata.resourceVersion;
        });
        log.trace({ kind: kind.kind, version, end }, 'watch ended');
        if (end === 'expired') version = '';
      } catch (error) {
        if (signal.aborted) break;
        if (statusOf(error) === 410) version = '';
        failures += 1;
        log.warn({ kind: kind.kind, reason: reasonOf(error) }, 'watch broke off and is taken up again');
        await clock.sleep(backoffMs(failures, RECONNECT, Math.random()), signal).catch(() => undefined);
      }
    }
  };
  signal.addEventListener('abort', () => listed.reject(signal.reason), { once: true });
  void follow();
  await listed.promise;
  return store;
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

/** One watch connection. Resolves when it ended in an ordinary way, rejects when it broke. */
async function watchFrom<T extends Stored>(
  api: Api,
  kind: Kind<T>,
  resourceVersion: string,
  signal: AbortSignal,
  onEvent: (event: WatchEvent<T>) => void,
): Promise<'closed' | 'expired'> {
  signal.throwIfAborted();
  let expired = false;
  const ended = Promise.withResolvers<void>();
  const connection = await new Watch(api.kubeConfig).watch(
    pathOf(kind),
    { resourceVersion, allowWatchBookmarks: true },
    (type, object) => {
      // An error event carries a Status; 410 means that the server has forgotten this resource version.
      if (type === 'ERROR') expired = true;
      else onEvent({ type, object } as WatchEvent<T>);
    },
    (error) => {
      // A quiet watch is cut off by the client after a while; that is no fault.
      if (!error || error.name === 'TimeoutError') ended.resolve();
      else if (error.statusCode === 410) {
        expired = true;
        ended.resolve();
      } else ended.reject(error);
    },
  );
  const stop = () => connection.abort();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await ended.promise;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return expired ? 'expired' : 'closed';
}
