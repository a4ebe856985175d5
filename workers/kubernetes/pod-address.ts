import { jsonObjectIn } from '../../core/json.ts';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';

/**
 * On a node whose pods share its address (the sandbox's), a pod's declared ports stand for others: which ones, as JSON by
 * number and by name.
 */
const PORTS = 'sandbox.rotor.dev/ports';

/** A port of a pod, by number or by the name that a container gives it. */
export interface PodPort {
  readonly port: number | string;
  readonly path: string;
}

/**
 * Where one pod itself answers, without a Service in between.
 * @returns undefined while it has no address, and when no container of it names the port
 */
export function podUrl(pod: ClusterObject, { port, path }: PodPort): string | undefined {
  const address: string | undefined = pod.status?.podIP;
  const real = mapped(pod)[port] ?? (typeof port === 'number' ? port : declared(pod, port));
  if (!address || real === undefined) return undefined;
  return `http://${address.includes(':') ? `[${address}]` : address}:${real}${path}`;
}

function declared(pod: ClusterObject, name: string): number | undefined {
  const containers: readonly { ports?: readonly { name?: string; containerPort?: number }[] }[] =
    pod.spec?.containers ?? [];
  return containers.flatMap(({ ports = [] }) => ports).find((port) => port.name === name)?.containerPort;
}

function mapped(pod: ClusterObject): Readonly<Record<string, number>> {
  return (jsonObjectIn(pod.metadata?.annotations?.[PORTS] ?? '') ?? {}) as Readonly<Record<string, number>>;
}
