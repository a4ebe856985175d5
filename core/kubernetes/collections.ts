import type { HttpMethod, KubeConfig, RequestContext, ResponseContext } from '@kubernetes/client-node';
import { type Asked, clusterError } from './cluster-errors.ts';

/** All objects of one kind, in one namespace or in all. */
export interface CollectionRef {
  readonly apiVersion: string;
  readonly kind: string;
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  /** As in a label selector; whoever loses the labels is gone for the one who asks. */
  readonly labels?: string;
  /** Asks for PartialObjectMetadata: of a Secret nothing but its metadata ever reaches this process. */
  readonly metadataOnly?: true;
}

/** An object exactly as it travels: dates are text. */
export interface WireObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly {
      readonly apiVersion: string;
      readonly kind: string;
      readonly name: string;
      readonly controller?: boolean;
    }[];
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of any kind; whoever reads one names the fields it means.
  readonly [field: string]: any;
}

export interface Page {
  readonly items: readonly WireObject[];
  readonly resourceVersion: string;
  /** There is more, to be asked for with this. */
  readonly continue: string | undefined;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: WireObject }
  /** Nothing has changed up to this version but what was told before. */
  | { readonly type: 'BOOKMARK'; readonly object: WireObject };

/** `expired`: the server no longer knows the version from which to go on (410). */
export type Expired = 'expired';

/** Lists and watches as they travel, for what {@link KubernetesObjectApi} has no method for. */
export interface Collections {
  /**
   * @throws RotorError `cluster.not-found` when the cluster doesn't serve the kind, `cluster.forbidden` and the like
   */
  page(
    of: CollectionRef,
    options: { readonly limit?: number | undefined; readonly continue?: string | undefined },
    signal: AbortSignal,
  ): Promise<Page | Expired>;
  /**
   * Tells what changes after `version`, until the server ends it (`timeoutSeconds` at the latest) or nothing at all was
   * heard for `silenceMs`.
   */
  watch(
    of: CollectionRef,
    options: {
      readonly version: string;
      readonly timeoutSeconds: number;
      readonly silenceMs: number;
      /** The server took the request. */
      readonly connected: () => void;
    },
    signal: AbortSignal,
    heard: (event: WatchEvent) => void,
  ): Promise<'ended' | Expired>;
}

/** What of the client library is needed; it is loaded late. */
interface Client {
  readonly RequestContext: new (url: string, method: HttpMethod) => RequestContext;
  readonly HttpMethod: typeof HttpMethod;
  readonly IsomorphicFetchHttpLibrary: new () => {
    send(request: RequestContext): { toPromise(): Promise<ResponseContext> };
  };
}

/** @param authenticate makes a request one of ours, over a connection that may be open already */
export function collectionsOf(
  config: KubeConfig,
  client: Client,
  authenticate: (request: RequestContext) => Promise<void>,
): Collections {
  const server = config.getCurrentCluster()?.server ?? '';
  const cluster = config.getCurrentContext();
  const library = new client.IsomorphicFetchHttpLibrary();
  const paths = new Map<string, string>();

  const send = async (path: string, accept: string, signal: AbortSignal): Promise<ResponseContext> => {
    const request = new client.RequestContext(server + path, client.HttpMethod.GET);
    request.setHeaderParam('Accept', accept);
    request.setSignal(signal);
    await authenticate(request);
    return library.send(request).toPromise();
  };

  const pathOf = async ({ apiVersion, kind, namespace }: CollectionRef, signal: AbortSignal) => {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${apiVersion} ${kind}`;
    const known = paths.get(key);
    const plural = known ?? (await pluralOf(root, kind, signal));
    paths.set(key, plural);
    return namespace ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}` : `${root}/${plural}`;
  };

  const pluralOf = async (root: string, kind: string, signal: AbortSignal): Promise<string> => {
    const answer = await send(root, 'application/json', signal);
    if (answer.httpStatusCode !== 404) {
      const text = await textOf(answer);
      const { resources = [] } = JSON.parse(text) as { resources?: { kind: string; name: string }[] };
      const found = resources.find((each) => each.kind === kind && !each.name.includes('/'));
      if (found) return found.name;
    }
    throw { code: 404, body: {} };
  };

  const asked = (verb: Asked['verb'], of: CollectionRef): Asked => ({
    verb,
    apiVersion: of.apiVersion,
    kind: of.kind,
    namespace: of.namespace ?? '(all namespaces)',
    name: '',
    cluster,
  });

  return {
    page: async (of, { limit, continue: token }, signal) => {
      const query = new URLSearchParams({
        ...(limit === undefined ? {} : { limit: String(limit) }),
        ...(token === undefined ? {} : { continue: token }),
        ...(of.labels === undefined ? {} : { labelSelector: of.labels }),
      });
      try {
        const answer = await send(`${await pathOf(of, signal)}?${query}`, acceptOf(of, 'List'), signal);
        if (answer.httpStatusCode === 410) return 'expired';
        const list = JSON.parse(await textOf(answer)) as {
          items: WireObject[] | null;
          metadata: { resourceVersion: string; continue?: string };
        };
        return {
          items: list.items ?? [],
          resourceVersion: list.metadata.resourceVersion,
          continue: list.metadata.continue || undefined,
        };
      } catch (error) {
        signal.throwIfAborted();
        throw clusterError(error, asked('list', of));
      }
    },

    watch: async (of, { version, timeoutSeconds, silenceMs, connected }, signal, heard) => {
      const query = new URLSearchParams({
        watch: 'true',
        resourceVersion: version,
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(timeoutSeconds),
        ...(of.labels === undefined ? {} : { labelSelector: of.labels }),
      });
      // One controller for both reasons to end: what AbortSignal.any gives can be collected before it fires.
      const end = new AbortController();
      const leave = () => end.abort();
      signal.addEventListener('abort', leave);
      let timer = setTimeout(leave, silenceMs);
      try {
        signal.throwIfAborted();
        const answer = await send(`${await pathOf(of, end.signal)}?${query}`, acceptOf(of, ''), end.signal);
        if (answer.httpStatusCode === 410) return 'expired';
        if (answer.httpStatusCode !== 200) await textOf(answer);
        connected();
        for await (const line of linesOf(answer)) {
          clearTimeout(timer);
          timer = setTimeout(leave, silenceMs);
          const event = JSON.parse(line) as
            | WatchEvent
            | { readonly type: 'ERROR'; readonly object: { code?: number } };
          if (event.type !== 'ERROR') heard(event);
          else if (event.object.code === 410) return 'expired';
          else throw { code: event.object.code ?? 500, body: event.object };
        }
        return 'ended';
      } catch (error) {
        signal.throwIfAborted();
        if (end.signal.aborted) return 'ended';
        throw clusterError(error, asked('watch', of));
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', leave);
      }
    },
  };
}

function acceptOf({ metadataOnly }: CollectionRef, list: 'List' | ''): string {
  return metadataOnly
    ? `application/json;as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1`
    : 'application/json';
}

/** @throws what {@link clusterError} reads, for anything but 2xx */
async function textOf({ httpStatusCode: code, headers, body }: ResponseContext): Promise<string> {
  const text = await body.text();
  if (code >= 300) throw { code, headers, body: text };
  return text;
}

async function* linesOf({ body }: ResponseContext): AsyncGenerator<string> {
  const stream = body.stream();
  if (!stream) return;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}
