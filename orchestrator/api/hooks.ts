import type { OpenAPIHono } from '@hono/zod-openapi';
import type { HonoRequest } from 'hono';
import type { Hooks } from '../intake/receive.ts';
import type { ApiEnv } from './access.ts';

/** How long the body of a hook's request may be; undefined for other requests. */
export async function hookLimit(hooks: Hooks | undefined, request: HonoRequest): Promise<number | undefined> {
  const name = /^\/v1\/hooks\/([\w.-]+)$/.exec(request.path)?.[1];
  return name === undefined ? undefined : hooks?.limit(name, request.header());
}

/** `POST /v1/hooks/{source}`: no token of ours, each source proves itself in its own way over the raw body. */
export function mountHooks(app: OpenAPIHono<ApiEnv>, hooks: Hooks | undefined): void {
  if (!hooks) return;
  app.post('/v1/hooks/:source', async (context) => {
    const answer = await hooks.receive(
      context.req.param('source'),
      context.env?.incoming?.socket?.remoteAddress ?? 'unknown',
      {
        method: context.req.method,
        headers: context.req.header(),
        body: Buffer.from(await context.req.arrayBuffer()),
      },
    );
    return context.json((answer.body ?? {}) as object, answer.status, answer.headers ?? {});
  });
}
