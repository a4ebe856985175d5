import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { Api } from './client/api.ts';
import { controllerOf, keyOf, type ObjectStore } from './client/object-store.ts';
import type { Resource } from './client/resource.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  DisruptionBudget,
  EndpointSlice,
  Endpoints,
  Job,
  Node,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
  Stored,
} from './client/wire.ts';
import type { Again } from './client/work-queue.ts';

/** What all controllers share: one cache per kind. */
export interface Cluster {
  readonly api: Api;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pods: Resource<Pod>;
  readonly nodes: Resource<Node>;
  readonly deployments: Resource<Deployment>;
  readonly replicaSets: Resource<ReplicaSet>;
  readonly statefulSets: Resource<StatefulSet>;
  readonly daemonSets: Resource<DaemonSet>;
  readonly revisions: Resource<ControllerRevision>;
  readonly services: Resource<Service>;
  readonly endpoints: Resource<Endpoints>;
  readonly endpointSlices: Resource<EndpointSlice>;
  readonly disruptionBudgets: Resource<DisruptionBudget>;
  readonly jobs: Resource<Job>;
}

/** Brings the cluster closer to what one object asks for. */
export interface Controller {
  readonly name: string;
  /** Subscribes to what can change the outcome; `enqueue` takes the keys to look at. */
  listen(enqueue: (key: string) => void): void;
  /** Throwing means trying again after a pause. */
  reconcile(key: string): Promise<Again>;
}

/** Looks at an object whenever it changes. */
export function onObjects<T extends Stored>(store: ObjectStore<T>, enqueue: (key: string) => void): void {
  store.onChange(({ before, after }) => {
    const object = after ?? before;
    if (object) enqueue(keyOf(object));
  });
}

/**
 * Looks at an owner whenever something it owns changes. An object without any owner goes to `orphan`, which
 * names the keys of those that may want to adopt it.
 */
export function onOwned<T extends Stored>(
  store: ObjectStore<T>,
  ownerKind: string,
  enqueue: (key: string) => void,
  orphan: (object: T) => readonly string[] = () => [],
): void {
  store.onChange(({ before, after }) => {
    for (const object of [before, after]) {
      if (!object) continue;
      const owner = controllerOf(object);
      if (owner?.kind === ownerKind) enqueue(`${object.metadata.namespace ?? ''}/${owner.name}`);
      else if (!owner && object === after) orphan(object).forEach(enqueue);
    }
  });
}
