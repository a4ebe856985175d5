import { type Json, type JsonObject, listAt, objectAt, objectsAt, textAt, valueAt } from './json.ts';

/** A column of a kind's table: its title, its type, how its cell is read. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly priority: number;
  readonly cell: (object: JsonObject, age: (time: Json | undefined) => string) => Json;
}

type Cell = Column['cell'];

const col = (name: string, cell: Cell, type = 'string', priority = 0): Column => ({
  name,
  type,
  format: name === 'Name' ? 'name' : '',
  priority,
  cell,
});

const at =
  (...path: string[]): Cell =>
  (object) =>
    valueAt(object, ...path) ?? '<none>';
const count =
  (...path: string[]): Cell =>
  (object) =>
    Number(valueAt(object, ...path) ?? 0);

const NAME = col('Name', (object) => textAt(object, 'metadata', 'name') ?? '');
const AGE = col('Age', (object, age) => age(valueAt(object, 'metadata', 'creationTimestamp')));
const CREATED = col('Created At', at('metadata', 'creationTimestamp'), 'date');

const keys = (object: JsonObject, ...fields: string[]) =>
  fields.reduce((sum, field) => sum + Object.keys(objectAt(object, field)).length, 0);

const readyOf =
  (desired: Cell): Cell =>
  (object, age) =>
    `${Number(valueAt(object, 'status', 'readyReplicas') ?? 0)}/${desired(object, age)}`;

const containerStates = (pod: JsonObject) => objectsAt(pod, 'status', 'containerStatuses');

/** The word of a pod's STATUS column: why a container waits or has ended, else the phase. */
function podStatus(pod: JsonObject): string {
  if (textAt(pod, 'metadata', 'deletionTimestamp')) return 'Terminating';
  for (const state of containerStates(pod)) {
    const why = textAt(state, 'state', 'waiting', 'reason') ?? textAt(state, 'state', 'terminated', 'reason');
    if (why) return why;
  }
  return textAt(pod, 'status', 'reason') ?? textAt(pod, 'status', 'phase') ?? '';
}

function servicePorts(service: JsonObject): string {
  const shown = objectsAt(service, 'spec', 'ports').map((port) => `${port.port}/${port.protocol}`);
  return shown.length > 0 ? shown.join(',') : '<none>';
}

function nodeStatus(node: JsonObject): string {
  const ready = objectsAt(node, 'status', 'conditions').find((item) => item.type === 'Ready');
  const word = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown';
  return valueAt(node, 'spec', 'unschedulable') === true ? `${word},SchedulingDisabled` : word;
}

const replicas = count('spec', 'replicas');
const BINDING = [
  NAME,
  col('Role', (o) => `${textAt(o, 'roleRef', 'kind')}/${textAt(o, 'roleRef', 'name')}`),
  AGE,
];

/** Tables of the built-in kinds; the others have name and age. */
const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/Pod': [
    NAME,
    col('Ready', (pod) => {
      const ready = containerStates(pod).filter((state) => state.ready === true).length;
      return `${ready}/${listAt(pod, 'spec', 'containers').length}`;
    }),
    col('Status', podStatus),
    col('Restarts', (pod) =>
      String(containerStates(pod).reduce((sum, s) => sum + Number(s.restartCount ?? 0), 0)),
    ),
    AGE,
    col('IP', at('status', 'podIP'), 'string', 1),
    col('Node', at('spec', 'nodeName'), 'string', 1),
  ],
  '/Secret': [NAME, col('Type', at('type')), col('Data', (o) => keys(o, 'data')), AGE],
  '/ConfigMap': [NAME, col('Data', (o) => keys(o, 'data', 'binaryData')), AGE],
  '/PersistentVolumeClaim': [NAME, col('Status', at('status', 'phase')), AGE],
  '/Namespace': [NAME, col('Status', at('status', 'phase')), AGE],
  '/Service': [
    NAME,
    col('Type', at('spec', 'type')),
    col('Cluster-IP', at('spec', 'clusterIP')),
    col('External-IP', () => '<none>'),
    col('Port(s)', servicePorts),
    AGE,
  ],
  '/Node': [
    NAME,
    col('Status', nodeStatus),
    col('Roles', () => '<none>'),
    AGE,
    col('Version', (o) => textAt(o, 'status', 'nodeInfo', 'kubeletVersion') ?? ''),
  ],
  '/Event': [
    col('Last Seen', (o, age) => age(o.lastTimestamp ?? o.eventTime ?? o.firstTimestamp)),
    col('Type', at('type')),
    col('Reason', at('reason')),
    col(
      'Object',
      (o) => `${textAt(o, 'involvedObject', 'kind')?.toLowerCase()}/${textAt(o, 'involvedObject', 'name')}`,
    ),
    col('Message', (o) => (textAt(o, 'message') ?? '').trim()),
  ],
  'apps/Deployment': [
    NAME,
    col('Ready', readyOf(replicas)),
    col('Up-to-date', count('status', 'updatedReplicas')),
    col('Available', count('status', 'availableReplicas')),
    AGE,
  ],
  'apps/ReplicaSet': [
    NAME,
    col('Desired', replicas),
    col('Current', count('status', 'replicas')),
    col('Ready', count('status', 'readyReplicas')),
    AGE,
  ],
  'apps/StatefulSet': [NAME, col('Ready', readyOf(replicas)), AGE],
  'apps/DaemonSet': [
    NAME,
    col('Desired', count('status', 'desiredNumberScheduled')),
    col('Current', count('status', 'currentNumberScheduled')),
    col('Ready', count('status', 'numberReady')),
    col('Up-to-date', count('status', 'updatedNumberScheduled')),
    col('Available', count('status', 'numberAvailable')),
    AGE,
  ],
  'batch/Job': [
    NAME,
    col('Status', (job) => {
      const met = objectsAt(job, 'status', 'conditions').filter((item) => item.status === 'True');
      const done = met.find((item) => item.type === 'Complete' || item.type === 'Failed');
      return textAt(done ?? met[0], 'type') ?? 'Running';
    }),
    col(
      'Completions',
      (o) => `${valueAt(o, 'status', 'succeeded') ?? 0}/${valueAt(o, 'spec', 'completions') ?? 1}`,
    ),
    AGE,
  ],
  'batch/CronJob': [
    NAME,
    col('Schedule', at('spec', 'schedule')),
    col('Suspend', (o) => (valueAt(o, 'spec', 'suspend') === true ? 'True' : 'False')),
    col('Active', (o) => listAt(o, 'status', 'active').length),
    col('Last Schedule', (o, age) =>
      valueAt(o, 'status', 'lastScheduleTime') ? age(valueAt(o, 'status', 'lastScheduleTime')) : '<none>',
    ),
    AGE,
  ],
  'coordination.k8s.io/Lease': [NAME, col('Holder', (o) => textAt(o, 'spec', 'holderIdentity') ?? ''), AGE],
  'policy/PodDisruptionBudget': [
    NAME,
    col('Min Available', (o) => String(valueAt(o, 'spec', 'minAvailable') ?? 'N/A')),
    col('Max Unavailable', (o) => String(valueAt(o, 'spec', 'maxUnavailable') ?? 'N/A')),
    col('Allowed Disruptions', count('status', 'disruptionsAllowed')),
    AGE,
  ],
  'rbac.authorization.k8s.io/Role': [NAME, CREATED],
  'rbac.authorization.k8s.io/ClusterRole': [NAME, CREATED],
  'rbac.authorization.k8s.io/RoleBinding': BINDING,
  'rbac.authorization.k8s.io/ClusterRoleBinding': BINDING,
  'apiextensions.k8s.io/CustomResourceDefinition': [NAME, CREATED],
};

/** The columns of a built-in kind. */
export function builtInColumns(group: string, kind: string): readonly Column[] {
  return COLUMNS[`${group}/${kind}`] ?? [NAME, AGE];
}

/** The columns that a CRD names for a version; only the age where it names none. */
export function customColumns(definitions: readonly JsonObject[]): readonly Column[] {
  if (definitions.length === 0) return [NAME, AGE];
  return [
    NAME,
    ...definitions.map((definition): Column => {
      const type = textAt(definition, 'type') ?? 'string';
      const path = textAt(definition, 'jsonPath') ?? '';
      const cell: Cell = (object, age) => {
        const found = followPath(object, path);
        if (found === undefined) return null;
        return type === 'date' ? age(found) : found;
      };
      return {
        name: textAt(definition, 'name') ?? '',
        type,
        format: textAt(definition, 'format') ?? '',
        priority: Number(definition.priority ?? 0),
        cell,
      };
    }),
  ];
}

/** JSONPath as printer columns use it: names, indexes, `[?(@.type=="Ready")]`. */
export function followPath(object: JsonObject, path: string): Json | undefined {
  let found: Json | undefined = object;
  for (const [, name, index, key, value] of path.matchAll(
    /\.?([\w$-]+)|\[(\d+)\]|\[\?\(@\.([\w.]+)\s*==\s*["']([^"']*)["']\)\]/g,
  )) {
    if (name !== undefined) found = valueAt(found, name);
    else if (index !== undefined) found = Array.isArray(found) ? found[Number(index)] : undefined;
    else if (key !== undefined && Array.isArray(found)) {
      found = found.find((item) => valueAt(item, ...key.split('.')) === value);
    }
  }
  return found;
}
