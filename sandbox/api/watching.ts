import type { ServerResponse } from 'node:http';
import type { JsonObject, KubeObject } from './json.ts';
import { badVersion, selection } from './listing.ts';
import { type ApiRequest, isTrue, type Target } from './request.ts';
import type { Predicate } from './selectors.ts';
import { ApiError, forbiddenField, invalid } from './status.ts';
import type { Change } from './store.ts';
import type { World } from './world.ts';

/** How an object is written in the answer: in its version, as a Table row, as metadata only. */
export type Render = (object: KubeObject, first: boolean) => JsonObject;

export interface WatchSettings {
  readonly bookmarkEveryMs: number;
  /** Open watches, so that tests can cut them. */
  readonly open: Set<ServerResponse>;
}

/**
 * Answers a watch: what has changed since the asked version (or all objects first), then every change as it
 * comes, until the client leaves or `timeoutSeconds` are over.
 * @throws ApiError before the first byte; later refusals are ERROR events
 */
export function startWatch(
  world: World,
  target: Target,
  request: ApiRequest,
  response: ServerResponse,
  render: Render,
  settings: WatchSettings,
): void {
  const { query } = request;
  const matches = watched(target, selection(query, target.type));
  const bookmarks = isTrue(query.get('allowWatchBookmarks'));
  const from = startOf(world, query);

  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  settings.open.add(response);
  let first = true;
  const send = (type: string, object: JsonObject) => {
    response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const sendObject = (type: string, object: KubeObject) => {
    send(type, render(object, first));
    first = false;
  };
  const bookmark = (annotations?: JsonObject) => {
    const metadata = {
      resourceVersion: String(world.store.version),
      ...(annotations ? { annotations } : {}),
    };
    const { kind } = target.type;
    const apiVersion = versionOf(target);
    sendObject('BOOKMARK', { kind, apiVersion, metadata } as unknown as KubeObject);
  };

  let changes: Change[] = [];
  if (from.objectsFirst) {
    for (const object of world.store.list(target.type.storage, target.namespace)) {
      if (matches(object)) sendObject('ADDED', object);
    }
    if (from.initialEvents && bookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' });
  } else {
    try {
      changes = world.store.changesSince(target.type.storage, from.version);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // A version that is too old is told inside the stream, as the watch cache does.
      send('ERROR', error.toStatus());
      settings.open.delete(response);
      response.end();
      return;
    }
  }
  const deliver = (change: Change) => {
    // A version from the future is waited for, as the real server does.
    if (change.version <= from.version) return;
    const event = seen(change, matches);
    if (event) sendObject(event, change.object);
  };
  changes.forEach(deliver);

  const stopListening = world.store.listen((change) => {
    if (change.storage === target.type.storage) deliver(change);
  });
  const ticking = bookmarks ? setInterval(() => bookmark(), settings.bookmarkEveryMs) : undefined;
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  const lastsMs = (seconds > 0 ? seconds : 3600) * 1000;
  const ending = setTimeout(() => response.end(), lastsMs);
  // Two seconds before its time is over, as the watch cache does.
  const lastBookmark = bookmarks ? setTimeout(() => bookmark(), Math.max(0, lastsMs - 2000)) : undefined;
  response.on('close', () => {
    settings.open.delete(response);
    stopListening();
    clearInterval(ticking);
    clearTimeout(ending);
    clearTimeout(lastBookmark);
  });
}

/** The event that a watcher with this selection sees: an object that leaves the selection is DELETED to it. */
function seen(change: Change, matches: Predicate): Change['type'] | undefined {
  const now = change.type !== 'DELETED' && matches(change.object);
  const before = change.before !== undefined && matches(change.before);
  if (now) return before ? 'MODIFIED' : 'ADDED';
  return before ? 'DELETED' : undefined;
}

function watched(target: Target, selects: Predicate): Predicate {
  return (object) =>
    (target.namespace === '' || object.metadata.namespace === target.namespace) &&
    (target.name === '' || object.metadata.name === target.name) &&
    selects(object);
}

interface Start {
  readonly version: number;
  readonly objectsFirst: boolean;
  readonly initialEvents: boolean;
}

function startOf(world: World, query: URLSearchParams): Start {
  const text = query.get('resourceVersion') ?? '';
  if (text !== '' && !/^\d+$/.test(text)) throw badVersion(text);
  const version = Number(text === '' ? 0 : text);
  const initial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch');
  if (initial === null) {
    if (match)
      throw refusedMatch('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
    return { version, objectsFirst: version === 0, initialEvents: false };
  }
  if (match !== 'NotOlderThan') {
    throw refusedMatch('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (isTrue(initial)) return { version, objectsFirst: true, initialEvents: true };
  return {
    version: version === 0 ? world.store.version : version,
    objectsFirst: false,
    initialEvents: false,
  };
}

function refusedMatch(why: string): ApiError {
  return invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
    forbiddenField('resourceVersionMatch', why),
  ]);
}

function versionOf(target: Target): string {
  const { group, version } = target.type;
  return group === '' ? version : `${group}/${version}`;
}
