import type { CustomType } from './custom-type.ts';

/** One resource of one version, as discovery shows it and the generic handler serves it. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly string[];
  /** Reviews are answered, never kept: they know only `create`. */
  readonly review: boolean;
  /** Where objects are kept; the two event APIs and all versions of a CRD share one place. */
  readonly storage: string;
  /** Whether the server counts `metadata.generation`. */
  readonly generation: boolean;
  /** Schema and columns, for resources that a CRD made. */
  readonly custom?: CustomType;
}

const ALL = ['all'];

interface Row {
  readonly short?: readonly string[];
  readonly cluster?: boolean;
  readonly sub?: readonly string[];
  readonly all?: boolean;
  readonly gen?: boolean;
  readonly review?: boolean;
  readonly storage?: string;
  readonly plural?: string;
}

const STATUS = ['status'];
const SCALED = ['status', 'scale'];

/** Group and version, then kind by kind what differs from a plain namespaced resource. */
const TABLE: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  v1: {
    Namespace: { short: ['ns'], cluster: true, sub: ['status', 'finalize'] },
    Secret: {},
    ConfigMap: { short: ['cm'] },
    Pod: { short: ['po'], sub: ['status', 'eviction', 'binding', 'log'], all: true, gen: true },
    Service: { short: ['svc'], sub: STATUS, all: true },
    Endpoints: { short: ['ep'], plural: 'endpoints' },
    ServiceAccount: { short: ['sa'] },
    PersistentVolumeClaim: { short: ['pvc'], sub: STATUS },
    Event: { short: ['ev'] },
    Node: { short: ['no'], cluster: true, sub: STATUS },
  },
  'apps/v1': {
    Deployment: { short: ['deploy'], sub: SCALED, all: true, gen: true },
    ReplicaSet: { short: ['rs'], sub: SCALED, all: true, gen: true },
    StatefulSet: { short: ['sts'], sub: SCALED, all: true, gen: true },
    DaemonSet: { short: ['ds'], sub: STATUS, all: true, gen: true },
    ControllerRevision: {},
  },
  'batch/v1': {
    Job: { sub: STATUS, all: true, gen: true },
    CronJob: { short: ['cj'], sub: STATUS, all: true, gen: true },
  },
  'coordination.k8s.io/v1': { Lease: {} },
  'events.k8s.io/v1': { Event: { short: ['ev'], storage: '/events' } },
  'rbac.authorization.k8s.io/v1': {
    Role: {},
    RoleBinding: {},
    ClusterRole: { cluster: true },
    ClusterRoleBinding: { cluster: true },
  },
  'policy/v1': { PodDisruptionBudget: { short: ['pdb'], sub: STATUS, gen: true } },
  'discovery.k8s.io/v1': { EndpointSlice: { gen: true } },
  'networking.k8s.io/v1': {
    NetworkPolicy: { short: ['netpol'], plural: 'networkpolicies', gen: true },
    Ingress: { short: ['ing'], plural: 'ingresses', sub: STATUS, gen: true },
  },
  'autoscaling/v2': { HorizontalPodAutoscaler: { short: ['hpa'], sub: STATUS, all: true } },
  'apiextensions.k8s.io/v1': {
    CustomResourceDefinition: { short: ['crd', 'crds'], cluster: true, sub: STATUS, gen: true },
  },
  'authentication.k8s.io/v1': {
    TokenReview: { cluster: true, review: true },
    SelfSubjectReview: { cluster: true, review: true },
  },
  'authorization.k8s.io/v1': {
    SubjectAccessReview: { cluster: true, review: true },
    SelfSubjectAccessReview: { cluster: true, review: true },
    SelfSubjectRulesReview: { cluster: true, review: true },
  },
};

/** The resources that are there before any CRD. */
export function builtInTypes(): ResourceType[] {
  return Object.entries(TABLE).flatMap(([groupVersion, kinds]) => {
    const [group, version] = splitGroupVersion(groupVersion);
    return Object.entries(kinds).map(([kind, row]): ResourceType => {
      const plural = row.plural ?? `${kind.toLowerCase()}s`;
      return {
        group,
        version,
        plural,
        singular: kind.toLowerCase(),
        kind,
        listKind: `${kind}List`,
        namespaced: row.cluster !== true,
        shortNames: row.short ?? [],
        categories: row.all ? ALL : kind === 'CustomResourceDefinition' ? ['api-extensions'] : [],
        subresources: row.sub ?? [],
        review: row.review === true,
        storage: row.storage ?? `${group}/${plural}`,
        generation: row.gen === true,
      };
    });
  });
}

/** `apps/v1` as group and version; the core group is the empty text. */
export function splitGroupVersion(groupVersion: string): [group: string, version: string] {
  const slash = groupVersion.indexOf('/');
  return slash < 0 ? ['', groupVersion] : [groupVersion.slice(0, slash), groupVersion.slice(slash + 1)];
}

export function groupVersionOf(type: { group: string; version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}
