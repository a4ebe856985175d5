import {
  ApiException,
  HttpMethod,
  IsomorphicFetchHttpLibrary,
  type KubeConfig,
  PatchStrategy,
  RequestContext,
} from '@kubernetes/client-node';
import { type Kind, pathOf } from './kinds.ts';
import type { Draft, Stored } from './wire.ts';

const REQUEST_TIMEOUT_MS = 30_000;

interface ObjectName {
  readonly name: string;
  readonly namespace?: string;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  /** Delete only this very object, not one made since under the same name. */
  readonly uid?: string;
}

export interface Listed<T> {
  readonly items: T[];
  readonly resourceVersion: string;
}

/** The Kubernetes API with objects exactly as they travel (see {@link Wire}). All errors are ApiException. */
export interface Api {
  readonly kubeConfig: KubeConfig;
  list<T extends Stored>(kind: Kind<T>): Promise<Listed<T>>;
  get<T extends Stored>(kind: Kind<T>, at: ObjectName): Promise<T>;
  create<T extends Stored>(kind: Kind<T>, draft: Draft<T>): Promise<T>;
  /** Replaces the object if nobody else changed it since it was read. */
  update<T extends Stored>(kind: Kind<T>, object: T): Promise<T>;
  updateStatus<T extends Stored>(kind: Kind<T>, object: T): Promise<T>;
  /** A JSON merge patch. */
  patch<T extends Stored>(
    kind: Kind<T>,
    at: ObjectName,
    patch: object,
    subresource?: 'status' | 'scale',
  ): Promise<T>;
  /** Returns what the server says: the object that is now going away, or a Status when it is gone. */
  delete<T extends Stored>(
    kind: Kind<T>,
    at: ObjectName,
    options?: DeleteOptions,
  ): Promise<Partial<T> & { kind?: string }>;
  /** Makes a subresource of an object, such as a pod's binding. */
  createIn(kind: Kind<Stored>, at: ObjectName, subresource: string, body: object): Promise<void>;
}

/** Speaks to the cluster of a kubeconfig's current context. */
export function connectApi(kubeConfig: KubeConfig): Api {
  const library = new IsomorphicFetchHttpLibrary();
  let dispatcher: ReturnType<RequestContext['getDispatcher']>;
  const call = async <T>(
    method: HttpMethod,
    path: string,
    body?: object,
    contentType: string = 'application/json',
  ): Promise<T> => {
    const server = kubeConfig.getCurrentCluster()?.server;
    if (server === undefined) throw new Error('the kubeconfig has no current cluster');
    const request = new RequestContext(server + path, method);
    request.setHeaderParam('Accept', 'application/json');
    if (body) {
      request.setHeaderParam('Content-Type', contentType);
      request.setBody(JSON.stringify(body));
    }
    request.setSignal(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
    await kubeConfig.applySecurityAuthentication(request);
    // The kubeconfig makes a connection pool for every request; one for all of them keeps connections open.
    dispatcher ??= request.getDispatcher();
    if (dispatcher) request.setDispatcher(dispatcher);
    const response = await library.send(request).toPromise();
    const text = await response.body.text();
    if (response.httpStatusCode >= 300)
      throw new ApiException(response.httpStatusCode, messageOf(text), text, response.headers);
    return JSON.parse(text) as T;
  };
  const at = (kind: Kind<Stored>, { namespace, name }: ObjectName) => pathOf(kind, namespace, name);
  const typed = (kind: Kind<Stored>, object: object) => ({
    ...object,
    apiVersion: kind.apiVersion,
    kind: kind.kind,
  });
  return {
    kubeConfig,
    list: async <T>(kind: Kind<Stored>) => {
      const { items, metadata } = await call<{ items: T[] | null; metadata: { resourceVersion: string } }>(
        HttpMethod.GET,
        pathOf(kind),
      );
      return { items: items ?? [], resourceVersion: metadata.resourceVersion };
    },
    get: (kind, name) => call(HttpMethod.GET, at(kind, name)),
    create: (kind, draft) =>
      call(HttpMethod.POST, pathOf(kind, draft.metadata.namespace), typed(kind, draft)),
    update: (kind, object) => call(HttpMethod.PUT, at(kind, object.metadata), typed(kind, object)),
    updateStatus: (kind, object) =>
      call(HttpMethod.PUT, `${at(kind, object.metadata)}/status`, typed(kind, object)),
    patch: (kind, name, patch, subresource) =>
      call(
        HttpMethod.PATCH,
        at(kind, name) + (subresource ? `/${subresource}` : ''),
        patch,
        PatchStrategy.MergePatch,
      ),
    delete: (kind, name, { gracePeriodSeconds, uid } = {}) =>
      call(HttpMethod.DELETE, at(kind, name), {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      }),
    createIn: async (kind, name, subresource, body) => {
      await call(HttpMethod.POST, `${at(kind, name)}/${subresource}`, body);
    },
  };
}

/** The HTTP status an API call failed with, or undefined for anything else. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof ApiException ? error.code : undefined;
}

/** What the server said, short enough for a log line. */
export function reasonOf(error: unknown): string {
  if (error instanceof ApiException) return error.message.split('\n')[1] ?? error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Runs `work`; an answer with one of these statuses counts as done. */
export async function ignoring(statuses: readonly number[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!statuses.includes(statusOf(error) ?? 0)) throw error;
  }
}

function messageOf(text: string): string {
  try {
    const status = JSON.parse(text) as { message?: string; reason?: string };
    return status.message ?? status.reason ?? 'no message';
  } catch {
    return 'not a Kubernetes answer';
  }
}
