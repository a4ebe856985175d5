import type {
  Configuration,
  KubeConfig,
  KubernetesObject,
  KubernetesObjectApi,
  PatchStrategy,
} from '@kubernetes/client-node';
import type { Call } from '../call.ts';
import { RotorError } from '../errors.ts';
import { type Asked, clusterError } from './cluster-errors.ts';
import type { Collections } from './collections.ts';
import { type Connection, connect } from './connection.ts';

/** Our name in `managedFields`: what Rotor has set is told from what others have. */
export const FIELD_MANAGER = 'rotor';

/** One object, as every verb needs it named. */
export interface ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** An object as the API server gives it. Known kinds have their dates as `Date`; nothing here reads them. */
export type ClusterObject = KubernetesObject & {
  // biome-ignore lint/suspicious/noExplicitAny: objects of any kind; whoever reads one names the fields it means.
  readonly [field: string]: any;
};

/** What changes of an object, and nothing else. */
interface Patch {
  readonly metadata?: object;
  readonly [field: string]: unknown;
}

/** One operation of a JSON patch. */
export type JsonOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** A request that hangs is given up after that long, and probed. */
export const REQUEST_MS = 10_000;

/** A cluster by a context of the kubeconfig. Every request ends with the call's deadline, and says what was asked of what. */
export class Cluster {
  /** Context of the kubeconfig. */
  readonly name: string;
  /** Whole collections as they travel, for informers. */
  readonly collections: Collections;
  readonly #reconnect: () => Promise<Connection>;
  readonly #requestMs: number;
  #connection: Connection;
  #renewing: Promise<Connection> | undefined;

  /** @param reconnect reads the kubeconfig anew: who was let in yesterday may be somebody else today */
  constructor(first: Connection, reconnect: () => Promise<Connection>, requestMs: number) {
    this.name = first.context;
    this.#connection = first;
    this.#reconnect = reconnect;
    this.#requestMs = requestMs;
    this.collections = {
      page: (...asked) => this.#letIn(({ collections }) => collections.page(...asked)),
      watch: (...asked) => this.#letIn(({ collections }) => collections.watch(...asked)),
    };
  }

  /** @returns undefined when there is none */
  async read(call: Call, ref: ObjectRef): Promise<ClusterObject | undefined> {
    try {
      return await this.#ask(call, 'get', ref, (options, api) =>
        api.read<ClusterObject>(headed(ref), undefined, undefined, undefined, options),
      );
    } catch (error) {
      if (error instanceof RotorError && error.code === 'cluster.not-found') return undefined;
      throw error;
    }
  }

  /** @param labels as in a label selector: `app=web,tier!=db` */
  async list(
    call: Call,
    of: Pick<ObjectRef, 'apiVersion' | 'kind' | 'namespace'>,
    labels?: string,
  ): Promise<readonly ClusterObject[]> {
    const { items } = await this.#ask(call, 'list', { ...of, name: '' }, (options, api) =>
      api.list<ClusterObject>(
        of.apiVersion,
        of.kind,
        of.namespace,
        undefined,
        undefined,
        undefined,
        undefined,
        labels,
        undefined,
        undefined,
        options,
      ),
    );
    return items;
  }

  /**
   * Server-side apply under our field manager. With `metadata.resourceVersion` in the object it is refused unless that
   * is still the newest (`cluster.conflict`).
   * @param force takes over fields that others have set
   * @param dryRun everything is checked (permission, admission, the namespace) and nothing changed
   */
  async apply(call: Call, object: ClusterObject, force: boolean, dryRun?: 'dry-run'): Promise<ClusterObject> {
    const ref = refOf(object);
    return this.#ask(call, 'patch', ref, (options, api) =>
      api.patch<ClusterObject>(
        object,
        undefined,
        dryRun && 'All',
        FIELD_MANAGER,
        force,
        'application/apply-patch+yaml' as PatchStrategy,
        options,
      ),
    );
  }

  /**
   * Server-side apply of an object's `status` through its subresource, under our field manager. With
   * `metadata.resourceVersion` as for {@link apply}.
   */
  async applyStatus(call: Call, object: ClusterObject): Promise<ClusterObject> {
    return this.#ask(call, 'patch', { ...refOf(object), subresource: 'status' }, (options, api) =>
      api.patch<ClusterObject>(
        object,
        undefined,
        undefined,
        FIELD_MANAGER,
        true,
        'application/apply-patch+yaml' as PatchStrategy,
        {
          ...options,
          baseServer: {
            makeRequestContext: (path, method) =>
              options.baseServer.makeRequestContext(`${path}/status`, method),
          },
        },
      ),
    );
  }

  /** `patch` holds only what changes: a strategic merge patch, which custom resources don't know, or a merge patch. */
  async patch(call: Call, ref: ObjectRef, patch: Patch): Promise<ClusterObject> {
    const custom = ref.apiVersion.split('/')[0]?.includes('.');
    const strategy = custom ? 'application/merge-patch+json' : 'application/strategic-merge-patch+json';
    return this.#patch(call, ref, patch, strategy as PatchStrategy);
  }

  async mergePatch(call: Call, ref: ObjectRef, patch: Patch): Promise<ClusterObject> {
    return this.#patch(call, ref, patch, 'application/merge-patch+json' as PatchStrategy);
  }

  /** Merge patch of a custom resource's status subresource. */
  async patchStatus(call: Call, ref: ObjectRef, status: object): Promise<ClusterObject> {
    const { CustomObjectsApi, setHeaderOptions } = await import('@kubernetes/client-node');
    const [group = '', version = ''] = ref.apiVersion.split('/');
    const { namespace, name } = ref;
    return this.#ask(call, 'patch', ref, (options) =>
      new CustomObjectsApi(options).patchNamespacedCustomObjectStatus(
        {
          group,
          version,
          namespace,
          name,
          plural: `${ref.kind.toLowerCase()}s`,
          body: { status },
          fieldManager: FIELD_MANAGER,
        },
        setHeaderOptions('Content-Type', 'application/merge-patch+json'),
      ),
    );
  }

  /**
   * JSON patch (RFC 6902): changes exactly what it names, whatever the rest of the object may be. Where it replaces
   * `/metadata/resourceVersion` it is refused unless that is still the newest (`cluster.conflict`).
   */
  async jsonPatch(call: Call, ref: ObjectRef, operations: readonly JsonOperation[]): Promise<ClusterObject> {
    return this.#ask(call, 'patch', ref, (options, api) =>
      api.patch<ClusterObject>(
        headed(ref),
        undefined,
        undefined,
        FIELD_MANAGER,
        undefined,
        'application/json-patch+json' as PatchStrategy,
        sending(JSON.stringify(operations), options),
      ),
    );
  }

  /** @throws RotorError `cluster.conflict` when there is one already */
  async create(call: Call, object: ClusterObject, dryRun?: 'dry-run'): Promise<ClusterObject> {
    return this.#ask(call, 'create', refOf(object), (options, api) =>
      api.create<ClusterObject>(object, undefined, dryRun && 'All', FIELD_MANAGER, options),
    );
  }

  /**
   * @param only the very object that was looked at: refused (`cluster.conflict`) when it has changed since
   * @returns whether there was one
   */
  async remove(
    call: Call,
    ref: ObjectRef,
    only?: { readonly uid: string; readonly resourceVersion: string },
  ): Promise<boolean> {
    try {
      await this.#ask(call, 'delete', ref, (options, api) =>
        api.delete(
          headed(ref),
          undefined,
          undefined,
          undefined,
          undefined,
          'Background',
          only && { preconditions: only },
          options,
        ),
      );
      return true;
    } catch (error) {
      if (error instanceof RotorError && error.code === 'cluster.not-found') return false;
      throw error;
    }
  }

  #patch(call: Call, ref: ObjectRef, patch: Patch, strategy: PatchStrategy): Promise<ClusterObject> {
    const { metadata, ...header } = headed(ref);
    return this.#ask(call, 'patch', ref, (options, api) =>
      api.patch<ClusterObject>(
        { ...header, ...patch, metadata: { ...metadata, ...patch.metadata } },
        undefined,
        undefined,
        FIELD_MANAGER,
        undefined,
        strategy,
        options,
      ),
    );
  }

  async #ask<T>(
    call: Call,
    verb: Asked['verb'],
    ref: ObjectRef & Pick<Asked, 'subresource'>,
    request: (options: Configuration, api: KubernetesObjectApi) => Promise<T>,
  ): Promise<T> {
    const asked: Asked = { verb, ...ref, cluster: this.name };
    const doing = `${verb} ${nameOf(ref)} in cluster ${this.name}`;
    return call.deadline.within(this.#requestMs, call.clock).run(doing, (signal) =>
      this.#letIn(async ({ api, configurationWith }) => {
        try {
          return await request(configurationWith(signal), api);
        } catch (error) {
          signal.throwIfAborted();
          throw clusterError(error, asked);
        }
      }),
    );
  }

  /**
   * Whom the API server doesn't let in has done nothing there: the request is repeated once with what the kubeconfig says now,
   * since tokens and certificates in it are renewed while we run.
   */
  async #letIn<T>(request: (connection: Connection) => Promise<T>): Promise<T> {
    const used = this.#connection;
    try {
      return await request(used);
    } catch (error) {
      if (!(error instanceof RotorError) || error.code !== 'cluster.refused') throw error;
      const fresh = await this.#renewed(used).catch(() => {
        throw error;
      });
      return request(fresh);
    }
  }

  async #renewed(used: Connection): Promise<Connection> {
    // Somebody else's request was refused as well, and was faster.
    if (this.#connection !== used) return this.#connection;
    this.#renewing ??= this.#reconnect().finally(() => {
      this.#renewing = undefined;
    });
    this.#connection = await this.#renewing;
    return this.#connection;
  }
}

/** The client only knows bodies that are objects of the kind; a JSON patch is a list. */
function sending(body: string, options: Configuration): Configuration {
  return {
    ...options,
    baseServer: {
      makeRequestContext: (endpoint, method) => {
        const request = options.baseServer.makeRequestContext(endpoint, method);
        const setBody = request.setBody.bind(request);
        request.setBody = () => setBody(body);
        return request;
      },
    },
  };
}

/** `deployment shop/web`, for people. */
export function nameOf({ kind, namespace, name }: Omit<ObjectRef, 'apiVersion'>): string {
  return `${kind.toLowerCase()} ${namespace}${name === '' ? '' : `/${name}`}`;
}

export function refOf(object: ClusterObject): ObjectRef {
  const { apiVersion = '', kind = '', metadata } = object;
  return { apiVersion, kind, namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' };
}

function headed({ apiVersion, kind, namespace, name }: ObjectRef) {
  return { apiVersion, kind, metadata: { namespace, name } };
}

/** Clusters by context, opened when first named. */
export interface Clusters {
  /** @throws RotorError `config.invalid` when there is no kubeconfig, or no such context in it */
  open(context: string | undefined): Promise<Cluster>;
}

/** For processes that only read manifests. */
export const noClusters: Clusters = {
  open: async () => {
    throw new RotorError('internal.bug', { what: 'this process opens no cluster' });
  },
};

/**
 * The clusters of the default kubeconfig: `KUBECONFIG`, `~/.kube/config`, or the ServiceAccount of the pod.
 * The client is loaded when the first cluster is opened: who delivers to no cluster doesn't pay for it.
 * @param requestMs a request that hangs is given up after that long
 */
export function kubeconfigClusters(load?: (config: KubeConfig) => void, requestMs = REQUEST_MS): Clusters {
  const opened = new Map<string, Promise<Cluster>>();
  return {
    open: (context) => {
      const key = context ?? '';
      const known = opened.get(key) ?? openCluster(context, requestMs, load);
      opened.set(key, known);
      // A kubeconfig that is mended while we run must be read again.
      known.catch(() => opened.delete(key));
      return known;
    },
  };
}

async function openCluster(
  context: string | undefined,
  requestMs: number,
  load?: (config: KubeConfig) => void,
): Promise<Cluster> {
  const first = await connect(context, load);
  // The same context for good, whatever may become the current one.
  return new Cluster(first, () => connect(first.context, load), requestMs);
}
