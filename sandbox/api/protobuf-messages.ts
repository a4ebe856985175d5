/** Field name and type by number. `[]` marks lists; the type is a scalar, a map, or a message named here. */
export type Message = Readonly<Record<number, readonly [name: string, type: string]>>;

const META = ['metadata', 'ObjectMeta'] as const;
const BINDING: Message = { 1: META, 2: ['subjects', 'Subject[]'], 3: ['roleRef', 'RoleRef'] };

/** The messages that kubectl sends for the objects it makes by itself; all else it sends as JSON. */
export const MESSAGES: Readonly<Record<string, Message>> = {
  ObjectMeta: {
    1: ['name', 'string'],
    2: ['generateName', 'string'],
    3: ['namespace', 'string'],
    5: ['uid', 'string'],
    6: ['resourceVersion', 'string'],
    11: ['labels', 'map'],
    12: ['annotations', 'map'],
    14: ['finalizers', 'string[]'],
  },
  Namespace: { 1: META },
  ServiceAccount: { 1: META },
  Secret: {
    1: META,
    2: ['data', 'bytesmap'],
    3: ['type', 'string'],
    4: ['stringData', 'map'],
    5: ['immutable', 'bool'],
  },
  ConfigMap: { 1: META, 2: ['data', 'map'], 3: ['binaryData', 'bytesmap'], 4: ['immutable', 'bool'] },
  Role: { 1: META, 2: ['rules', 'PolicyRule[]'] },
  ClusterRole: { 1: META, 2: ['rules', 'PolicyRule[]'] },
  RoleBinding: BINDING,
  ClusterRoleBinding: BINDING,
  PolicyRule: {
    1: ['verbs', 'string[]'],
    2: ['apiGroups', 'string[]'],
    3: ['resources', 'string[]'],
    4: ['resourceNames', 'string[]'],
    5: ['nonResourceURLs', 'string[]'],
  },
  Subject: {
    1: ['kind', 'string'],
    2: ['apiGroup', 'string'],
    3: ['name', 'string'],
    4: ['namespace', 'string'],
  },
  RoleRef: { 1: ['apiGroup', 'string'], 2: ['kind', 'string'], 3: ['name', 'string'] },
  SelfSubjectAccessReview: { 1: META, 2: ['spec', 'ReviewSpec'] },
  SubjectAccessReview: { 1: META, 2: ['spec', 'ReviewSpec'] },
  ReviewSpec: {
    1: ['resourceAttributes', 'ResourceAttributes'],
    2: ['nonResourceAttributes', 'NonResourceAttributes'],
    3: ['user', 'string'],
    4: ['groups', 'string[]'],
  },
  ResourceAttributes: {
    1: ['namespace', 'string'],
    2: ['verb', 'string'],
    3: ['group', 'string'],
    4: ['version', 'string'],
    5: ['resource', 'string'],
    6: ['subresource', 'string'],
    7: ['name', 'string'],
  },
  NonResourceAttributes: { 1: ['path', 'string'], 2: ['verb', 'string'] },
  TokenReview: { 1: META, 2: ['spec', 'TokenSpec'] },
  TokenSpec: { 1: ['token', 'string'] },
  Eviction: { 1: META, 2: ['deleteOptions', 'DeleteOptions'] },
  DeleteOptions: {
    1: ['gracePeriodSeconds', 'int'],
    2: ['preconditions', 'Preconditions'],
    3: ['orphanDependents', 'bool'],
    4: ['propagationPolicy', 'string'],
    5: ['dryRun', 'string[]'],
  },
  Preconditions: { 1: ['uid', 'string'], 2: ['resourceVersion', 'string'] },
  Deployment: { 1: META, 2: ['spec', 'DeploymentSpec'] },
  DeploymentSpec: {
    1: ['replicas', 'int'],
    2: ['selector', 'LabelSelector'],
    3: ['template', 'PodTemplate'],
  },
  LabelSelector: { 1: ['matchLabels', 'map'] },
  PodTemplate: { 1: META, 2: ['spec', 'PodSpec'] },
  PodSpec: { 2: ['containers', 'Container[]'] },
  Container: {
    1: ['name', 'string'],
    2: ['image', 'string'],
    3: ['command', 'string[]'],
    4: ['args', 'string[]'],
    6: ['ports', 'ContainerPort[]'],
  },
  ContainerPort: { 1: ['name', 'string'], 3: ['containerPort', 'int'], 4: ['protocol', 'string'] },
};
