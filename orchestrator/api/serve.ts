import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { ApiEnv } from './access.ts';

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws RotorError `config.invalid` when the address is taken or not ours */
export async function serveApi(
  app: OpenAPIHono<ApiEnv>,
  { host, port }: { host: string; port: number },
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
          what: `ROTOR_LISTEN: ${host}:${port} can't be used (${code})`,
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
