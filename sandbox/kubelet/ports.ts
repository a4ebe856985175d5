import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { Pod } from '../controllers/client/wire.ts';

/** Which real port stands for each declared one, by name and by number, as JSON. */
export const PORTS_ANNOTATION = 'sandbox.rotor.dev/ports';

export type PortMap = Readonly<Record<string, number>>;

/** A free local port for every port the pod's containers declare: all pods share one address. */
export async function allocatePorts({ spec }: Pod, address: string): Promise<PortMap> {
  const map: Record<string, number> = {};
  for (const { ports = [] } of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const { containerPort, name } of ports) {
      const real = map[containerPort] ?? (await freePort(address));
      map[containerPort] = real;
      if (name !== undefined) map[name] = real;
    }
  }
  return map;
}

/** The variables by which containers learn their ports. */
export function portVariables(map: PortMap): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map).map(([key, port]) => [
      `ROTOR_SANDBOX_PORT_${key.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
      String(port),
    ]),
  );
}

/** Below what systems hand out by themselves: a port that is free now isn't some connection's the next moment. */
const [FIRST, LAST] = [15_000, 32_000];
const ATTEMPTS = 100;
/** A process needs a while until it listens: meanwhile its port is nobody else's. */
const given = new Set<number>();

async function freePort(address: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port, address)) return port;
    given.delete(port);
  }
  throw new Error(`no free port on ${address}`);
}

/** Gives a pod's ports back. */
export function releasePorts(map: PortMap): void {
  for (const port of Object.values(map)) given.delete(port);
}

async function isFree(port: number, address: string): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, address, resolve);
    });
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
