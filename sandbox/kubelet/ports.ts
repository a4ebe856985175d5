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

async function freePort(address: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, resolve);
  });
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof bound === 'object' && bound ? bound.port : 0;
}
