import { createHash } from 'node:crypto';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject } from '../../core/kubernetes/cluster.ts';
import { API_VERSION } from '../manifests/manifest.ts';
import type { CustomResource } from './custom-resource.ts';
import { instant } from './status.ts';
import type { Happening } from './transitions.ts';

const REPORTER = 'rotor.dev/orchestrator';
/** What the API server takes of a message. */
const LONGEST_MESSAGE = 1_024;

/**
 * A happening as an Event of the core group, which `kubectl describe` shows. Its name follows from object and happening, so
 * that however many replicas tell it, there is one.
 */
export function eventOf(resource: CustomResource, happening: Happening, now: Date): ClusterObject {
  const { kind, namespace, name, uid, resourceVersion } = resource;
  const { key, type, reason, message, at } = happening;
  const digest = createHash('sha256').update(`${uid} ${reason} ${key}`).digest('hex').slice(0, 16);
  const time = instant(at ?? now);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${digest}`, namespace },
    involvedObject: { apiVersion: API_VERSION, kind, namespace, name, uid, resourceVersion },
    type,
    reason,
    message: message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE - 1)}…` : message,
    source: { component: 'rotor' },
    reportingComponent: REPORTER,
    reportingInstance: REPORTER,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

/** Writes an Event; one that another replica has written is left as it is. */
export async function tell(call: Call, cluster: Cluster, event: ClusterObject): Promise<void> {
  try {
    await cluster.create(call, event);
  } catch (error) {
    if (!(error instanceof RotorError) || error.code !== 'cluster.conflict') throw error;
  }
}
