import type {
  Claim,
  ConfigMap,
  ControllerRevision,
  DaemonSet,
  Deployment,
  DisruptionBudget,
  EndpointSlice,
  Endpoints,
  Job,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  StatefulSet,
  Stored,
} from './wire.ts';

/** Where objects of a kind are found. The type parameter is what comes back. */
export interface Kind<T extends Stored> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: it only carries the type. */
  readonly objects?: T;
}

function kind<T extends Stored>(
  apiVersion: string,
  name: string,
  plural: string,
  namespaced = true,
): Kind<T> {
  return { apiVersion, kind: name, plural, namespaced };
}

export const PODS = kind<Pod>('v1', 'Pod', 'pods');
export const SECRETS = kind<Secret>('v1', 'Secret', 'secrets');
export const CONFIG_MAPS = kind<ConfigMap>('v1', 'ConfigMap', 'configmaps');
export const SERVICES = kind<Service>('v1', 'Service', 'services');
export const ENDPOINTS = kind<Endpoints>('v1', 'Endpoints', 'endpoints');
export const NAMESPACES = kind<Namespace>('v1', 'Namespace', 'namespaces', false);
export const NODES = kind<Node>('v1', 'Node', 'nodes', false);
export const CLAIMS = kind<Claim>('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const DEPLOYMENTS = kind<Deployment>('apps/v1', 'Deployment', 'deployments');
export const REPLICA_SETS = kind<ReplicaSet>('apps/v1', 'ReplicaSet', 'replicasets');
export const STATEFUL_SETS = kind<StatefulSet>('apps/v1', 'StatefulSet', 'statefulsets');
export const DAEMON_SETS = kind<DaemonSet>('apps/v1', 'DaemonSet', 'daemonsets');
export const CONTROLLER_REVISIONS = kind<ControllerRevision>(
  'apps/v1',
  'ControllerRevision',
  'controllerrevisions',
);
export const JOBS = kind<Job>('batch/v1', 'Job', 'jobs');
export const LEASES = kind<Lease>('coordination.k8s.io/v1', 'Lease', 'leases');
export const ENDPOINT_SLICES = kind<EndpointSlice>('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices');
export const DISRUPTION_BUDGETS = kind<DisruptionBudget>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
);

/** The path of a kind's objects in all namespaces, in one namespace, or of one object. */
export function pathOf(kind: Kind<Stored>, namespace?: string, name?: string): string {
  const root = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  const within = kind.namespaced && namespace ? `/namespaces/${namespace}` : '';
  return `${root}${within}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}
