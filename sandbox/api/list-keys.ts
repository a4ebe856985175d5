import { isObject, type Json, type JsonObject, objectAt, textAt, textsAt } from './json.ts';

/** How a list is merged: as a whole, as a set of values, or item by item under keys. */
export type ListKind = 'atomic' | 'set' | readonly string[];

/** Where a value stands in its kind: tells how lists are merged, and which objects are taken as a whole. */
export interface Shape {
  child(field: string): Shape;
  readonly item: Shape;
  readonly list: ListKind;
  readonly atomicObject: boolean;
  /** Values of keys that an item left out. */
  readonly keyDefaults: JsonObject;
}

const KEYED: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  imagePullSecrets: ['name'],
  secrets: ['name'],
  hostAliases: ['ip'],
  podIPs: ['ip'],
  resourceClaims: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  ownerReferences: ['uid'],
  conditions: ['type'],
};

const PORTS: Readonly<Record<string, readonly string[]>> = {
  containers: ['containerPort', 'protocol'],
  initContainers: ['containerPort', 'protocol'],
  spec: ['port', 'protocol'],
};

/** Objects that are replaced as a whole; `parent/field` where the field alone would say too much. */
const ATOMIC_OBJECTS = new Set([
  'selector',
  'nodeSelector',
  'labelSelector',
  'podSelector',
  'namespaceSelector',
  'secretKeyRef',
  'configMapKeyRef',
  'fieldRef',
  'resourceFieldRef',
  'roleRef',
  'involvedObject',
  'regarding',
  'ownerReferences',
  'imagePullSecrets',
]);

/** The shape of built-in kinds: what a field is called decides, together with where it stands. */
export function builtInShape(parent = '', field = ''): Shape {
  return {
    child: (name) => builtInShape(field, name),
    get item() {
      return builtInShape(parent, field);
    },
    list:
      field === 'ports'
        ? (PORTS[parent] ?? 'atomic')
        : field === 'finalizers'
          ? 'set'
          : (KEYED[field] ?? 'atomic'),
    atomicObject: ATOMIC_OBJECTS.has(field) && parent !== 'matchLabels',
    keyDefaults: field === 'ports' ? { protocol: 'TCP' } : {},
  };
}

const METADATA = builtInShape('', 'metadata');

/** The shape that a structural schema describes; metadata is as everywhere. */
export function schemaShape(schema: JsonObject, root = true): Shape {
  const additional = objectAt(schema, 'additionalProperties');
  const type = textAt(schema, 'x-kubernetes-list-type');
  const keys = textsAt(schema, 'x-kubernetes-list-map-keys');
  return {
    child: (name) => {
      if (root && name === 'metadata') return METADATA;
      const own = objectAt(schema, 'properties')[name];
      return schemaShape(isObject(own) ? own : additional, false);
    },
    get item() {
      return schemaShape(objectAt(schema, 'items'), false);
    },
    list: type === 'map' ? keys : type === 'set' ? 'set' : 'atomic',
    atomicObject: textAt(schema, 'x-kubernetes-map-type') === 'atomic',
    keyDefaults: Object.fromEntries(
      keys
        .map((key) => [key, objectAt(schema, 'items', 'properties', key).default])
        .filter(([, v]) => v !== undefined),
    ),
  };
}

/** The keys of an item of a keyed list, as text that orders fields by name: the form of FieldsV1. */
export function itemKey(keys: readonly string[], item: Json, defaults: JsonObject): string {
  const values = isObject(item) ? item : {};
  const sorted = [...keys].sort();
  return JSON.stringify(Object.fromEntries(sorted.map((key) => [key, values[key] ?? defaults[key] ?? null])));
}
