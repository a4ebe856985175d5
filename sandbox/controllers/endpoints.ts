import { isDeepStrictEqual } from 'node:util';
import { statusOf } from './client/api.ts';
import { keyOf } from './client/object-store.ts';
import { matchesAll } from './client/selector.ts';
import type { Draft, EndpointSlice, Endpoints, Service } from './client/wire.ts';
import { type Cluster, type Controller, onObjects, onOwned } from './controller.ts';
import { type EndpointAddress, type EndpointGroup, groupEndpoints } from './endpoint-decision.ts';
import { canonical, hashOf } from './names.ts';
import { controllerReference } from './pod-facts.ts';

const OWNER = { apiVersion: 'v1', kind: 'Service' };
const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';

/** Lists, for every Service with a selector, the pods that can be reached behind it. */
export function endpointsController(cluster: Cluster): Controller {
  const { pods, services, endpointSlices } = cluster;
  return {
    name: 'endpoints',
    listen: (enqueue) => {
      onObjects(services.cache, enqueue);
      onOwned(endpointSlices.cache, 'Service', enqueue);
      pods.cache.onChange(({ before, after }) => {
        for (const pod of [before, after])
          for (const service of pod ? services.cache.list(pod.metadata.namespace) : [])
            if (selects(service, pod?.metadata.labels)) enqueue(keyOf(service));
      });
    },
    reconcile: async (key) => {
      const service = services.cache.byKey(key);
      if (!service?.spec.selector || service.metadata.deletionTimestamp) return undefined;
      const chosen = pods.cache
        .list(service.metadata.namespace)
        .filter(({ metadata }) => selects(service, metadata.labels));
      const groups = groupEndpoints(service, chosen);
      try {
        await writeSlices(cluster, service, groups);
        await writeEndpoints(cluster, service, groups);
      } catch (error) {
        // Pods with a loopback address can't be listed at a server that checks; trying again wouldn't help.
        if (statusOf(error) !== 422) throw error;
        cluster.log.debug({ service: key }, 'the server refuses these addresses');
      }
      return undefined;
    },
  };
}

function selects({ spec }: Service, labels: Record<string, string> | undefined): boolean {
  return spec.selector !== undefined && matchesAll(spec.selector, labels);
}

async function writeSlices(
  { endpointSlices }: Cluster,
  service: Service,
  groups: readonly EndpointGroup[],
): Promise<void> {
  const known = endpointSlices.cache.ownedBy(service.metadata.uid);
  const wanted = new Map(
    groups.map((group) => sliceOf(service, group)).map((slice) => [slice.metadata.name, slice]),
  );
  for (const [name, slice] of wanted) {
    const old = known.find(({ metadata }) => metadata.name === name);
    if (!old) await endpointSlices.create(slice);
    else if (canonical([old.endpoints, old.ports]) !== canonical([slice.endpoints, slice.ports]))
      await endpointSlices.update({ ...old, endpoints: slice.endpoints ?? [], ports: slice.ports ?? [] });
  }
  for (const old of known) if (!wanted.has(old.metadata.name)) await endpointSlices.remove(old);
}

function sliceOf(service: Service, { ports, addresses }: EndpointGroup): Draft<EndpointSlice> {
  const { name, namespace } = service.metadata;
  return {
    metadata: {
      name: `${name}-${hashOf(ports)}`,
      namespace,
      labels: { [SERVICE_NAME]: name, [MANAGED_BY]: 'rotor-sandbox' },
      ownerReferences: [controllerReference({ ...OWNER, metadata: service.metadata })],
    },
    addressType: 'IPv4',
    ports: ports.map((port) => ({ name: '', ...port })),
    endpoints: addresses.map(({ pod, ip, ready, terminating }) => ({
      addresses: [ip],
      conditions: { ready, serving: ready, terminating },
      ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
      targetRef: targetOf(pod),
    })),
  };
}

function targetOf({ metadata }: EndpointAddress['pod']) {
  return { kind: 'Pod', name: metadata.name, namespace: metadata.namespace, uid: metadata.uid };
}

async function writeEndpoints(
  { endpoints }: Cluster,
  { metadata }: Service,
  groups: readonly EndpointGroup[],
): Promise<void> {
  const { name, namespace, labels = {} } = metadata;
  const subsets = groups.map((group) => {
    const list = (ready: boolean) =>
      group.addresses
        .filter((address) => address.ready === ready && !address.terminating)
        .map(({ ip, pod }) => ({
          ip,
          ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
          targetRef: targetOf(pod),
        }));
    const [addresses, notReadyAddresses] = [list(true), list(false)];
    return {
      ...(addresses.length > 0 ? { addresses } : {}),
      ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
      ports: [...group.ports],
    };
  });
  const filled = subsets.filter((subset) => 'addresses' in subset || 'notReadyAddresses' in subset);
  const known = endpoints.cache.get(namespace, name);
  const draft: Draft<Endpoints> = { metadata: { name, namespace, labels }, subsets: filled };
  if (!known) await endpoints.create(draft);
  else if (!isDeepStrictEqual(known.subsets ?? [], filled))
    await endpoints.update({ ...known, subsets: filled });
}
