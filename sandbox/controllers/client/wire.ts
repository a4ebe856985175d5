import type {
  V1ControllerRevision,
  V1DaemonSet,
  V1Deployment,
  V1EndpointSlice,
  V1Endpoints,
  V1Job,
  V1Lease,
  V1Node,
  V1OwnerReference,
  V1PodDisruptionBudget,
  V1PodSpec,
  V1PodStatus,
  V1PodTemplateSpec,
  V1ReplicaSet,
  V1Service,
  V1StatefulSet,
} from '@kubernetes/client-node';

/**
 * A type as it travels: times are text. The generated classes hold dates and drop fields they don't know,
 * so what was read with them can't be compared with what a watch says, nor written back unchanged.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export type OwnerReference = Wire<V1OwnerReference>;

export interface ClusterMeta {
  name: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
}

export interface Meta extends ClusterMeta {
  namespace: string;
}

/** What every stored object has. */
export interface Stored {
  metadata: ClusterMeta & { namespace?: string };
}

type Described<T extends { spec?: unknown; status?: unknown }> = {
  metadata: Meta;
  spec: Wire<NonNullable<T['spec']>>;
  status?: Wire<NonNullable<T['status']>>;
};

export type PodTemplate = Wire<V1PodTemplateSpec>;
export type PodSpec = Wire<V1PodSpec>;
export type PodStatus = Wire<V1PodStatus>;
export type Pod = { metadata: Meta; spec: PodSpec; status?: PodStatus };
export type Deployment = Described<V1Deployment>;
export type ReplicaSet = Described<V1ReplicaSet>;
export type StatefulSet = Described<V1StatefulSet>;
export type DaemonSet = Described<V1DaemonSet>;
export type Job = Described<V1Job>;
export type DisruptionBudget = Described<V1PodDisruptionBudget>;
export type Service = Described<V1Service>;
export type Lease = Described<V1Lease>;
export type Node = Omit<Described<V1Node>, 'metadata'> & { metadata: ClusterMeta };
export type ControllerRevision = Wire<Omit<V1ControllerRevision, 'metadata'>> & { metadata: Meta };
export type Endpoints = Wire<Omit<V1Endpoints, 'metadata'>> & { metadata: Meta };
export type EndpointSlice = Wire<Omit<V1EndpointSlice, 'metadata'>> & { metadata: Meta };
export type Secret = { metadata: Meta; data?: Record<string, string>; type?: string };
export type ConfigMap = {
  metadata: Meta;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
};
export type Claim = { metadata: Meta };
export type Namespace = { metadata: ClusterMeta };

/** An object that hasn't been created: the server fills in the rest of the metadata. */
export type Draft<T extends Stored> = Omit<T, 'metadata'> & {
  metadata: Partial<T['metadata']> & { name: string };
};
