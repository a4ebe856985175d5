import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { ApiEnv } from './access.ts';

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws RotorError `config.invalid` when the address is taken or not ours */
export async function serveApi(
  app: Pick<Hono<ApiEnv>, 'fetch'> | { fetch(request: Request): Response | Promise<Response> },
  { host, port }: { host: string; port: number },
  variable: 'ROTOR_LISTEN' | 'ROTOR_HEALTH_LISTEN' | '--listen' = 'ROTOR_LISTEN',
): Promise<Served> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (info) => {
      const shown = info.address.includes(':') ? `[${info.address}]` : info.address;
      resolve({ url: `http://${shown}:${info.port}`, close: () => close(server as Server) });
    });
    server.on('error', (error) => {
      const code = foreignCode(error);
      reject(
        new RotorError('config.invalid', {
          what: `${variable}: ${host}:${port} can't be used (${code})`,
          ...(code === 'EADDRINUSE'
            ? {
                hint: 'Another process listens there, perhaps another Rotor: stop it, or choose another port.',
              }
            : {}),
        }),
      );
    });
  });
}

/** Open event streams would keep the server up for ever. */
async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
