import { Hono } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import type { Logger } from '../../core/log.ts';
import { answerFor } from './errors.ts';

export interface HealthOptions {
  /** Resolves when this process can do its work; what it rejects with becomes the answer. */
  readonly ready: () => Promise<unknown>;
  /** In Prometheus' text format. */
  readonly metrics: () => Promise<string>;
}

/** What a cluster asks of every process: `/healthz` (does it answer), `/readyz` (can it work) and `/metrics`. */
export function healthRoutes({ ready, metrics }: HealthOptions): Hono {
  const app = new Hono();
  app.get('/healthz', (context) => context.text('ok\n'));
  app.get('/readyz', async (context) => {
    await ready();
    return context.text('ok\n');
  });
  app.get('/metrics', async (context) => context.text(await metrics()));
  return app;
}

/** For processes without an API: these three paths and nothing else. */
export function createHealthApi(log: Logger, options: HealthOptions): Hono {
  const app = new Hono();
  app.use(secureHeaders());
  app.onError((thrown, context) => {
    const { error, status } = answerFor(thrown);
    log.warn({ err: error, path: context.req.path }, 'not ready');
    return context.json(error.toJSON(), status);
  });
  app.route('/', healthRoutes(options));
  return app;
}
