import { type JsonObject, type KubeObject, objectAt } from './json.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';

/** Fields of an Event that have other names in events.k8s.io than in the core group. */
const EVENT_NAMES: readonly (readonly [core: string, events: string])[] = [
  ['message', 'note'],
  ['involvedObject', 'regarding'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

/** A stored object in the version of the asked resource. */
export function toVersion(type: ResourceType, stored: KubeObject): KubeObject {
  const apiVersion = groupVersionOf(type);
  if (stored.apiVersion === apiVersion) return stored;
  const renamed = type.group === 'events.k8s.io' ? renameEvent(stored, 'to-events') : stored;
  return { ...renamed, apiVersion };
}

/** A sent object in the version that is stored. */
export function toStored(type: ResourceType, sent: KubeObject): KubeObject {
  return type.group === 'events.k8s.io' ? { ...renameEvent(sent, 'to-core'), apiVersion: 'v1' } : sent;
}

function renameEvent(event: KubeObject, direction: 'to-events' | 'to-core'): KubeObject {
  const renamed: KubeObject = { ...event };
  for (const [core, events] of EVENT_NAMES) {
    const [from, to] = direction === 'to-events' ? [core, events] : [events, core];
    if (renamed[from] === undefined) continue;
    renamed[to] = renamed[from];
    delete renamed[from];
  }
  return renamed;
}

/** The object with its metadata only, as metadata clients ask for it. */
export function metadataOnly(object: KubeObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: objectAt(object, 'metadata'),
  };
}
