import type { Pod, Service } from './client/wire.ts';
import { isReady } from './pod-facts.ts';

/** Where a node says which local port stands for each port that a pod declares. */
const PORTS_ANNOTATION = 'sandbox.rotor.dev/ports';

export interface EndpointPort {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
}

export interface EndpointAddress {
  readonly pod: Pod;
  readonly ip: string;
  readonly ready: boolean;
  readonly terminating: boolean;
}

/** Pods that serve the same ports of a Service. */
export interface EndpointGroup {
  readonly ports: readonly EndpointPort[];
  readonly addresses: readonly EndpointAddress[];
}

/**
 * Which pods stand behind a Service, grouped by the ports they really listen on: pods that share one address
 * differ in these.
 */
export function groupEndpoints({ spec }: Service, pods: readonly Pod[]): readonly EndpointGroup[] {
  const groups = new Map<string, { ports: EndpointPort[]; addresses: EndpointAddress[] }>();
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const ip = pod.status?.podIP;
    const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (!ip || over) continue;
    const ports = (spec.ports ?? []).flatMap(({ name, port, targetPort = port, protocol = 'TCP' }) => {
      const real = portOf(pod, targetPort);
      return real === undefined ? [] : [{ ...(name ? { name } : {}), port: real, protocol }];
    });
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, addresses: [] };
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    const ready = spec.publishNotReadyAddresses === true || (isReady(pod) && !terminating);
    group.addresses.push({ pod, ip, ready, terminating });
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The port a pod really listens on for a Service's target port. */
function portOf(pod: Pod, target: number | string): number | undefined {
  const mapped = mappedPorts(pod)[target];
  if (mapped !== undefined) return mapped;
  if (typeof target === 'number') return target;
  return pod.spec.containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === target)
    ?.containerPort;
}

function mappedPorts({ metadata }: Pod): Readonly<Record<string, number>> {
  try {
    return JSON.parse(metadata.annotations?.[PORTS_ANNOTATION] ?? '{}') as Record<string, number>;
  } catch {
    return {};
  }
}
