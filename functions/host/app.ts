import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { type HttpForm, registerHttpForms } from '../http/routes.ts';
import { type Access, accessProblem } from './access.ts';
import { refusal, registerLambdaApi, SYNC_BYTES } from './lambda-api.ts';
import type { Outcome } from './outcome.ts';
import type { FunctionPool } from './pool.ts';

export interface HostEnv {
  Variables: {
    requestId: string;
    log: Logger;
    body: Buffer;
    /** Writes into the log how an invocation ended. */
    report: (name: string, outcome: Outcome) => void;
  };
}

export interface AppOptions {
  readonly pools: ReadonlyMap<string, FunctionPool>;
  readonly access: Access;
  readonly only: { readonly name: string; readonly form: HttpForm } | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** All that the host answers over HTTP. Every request has an id, which is in its answer and in every line of its log. */
export function hostApp({ pools, access, only, clock, log }: AppOptions): Hono<HostEnv> {
  const app = new Hono<HostEnv>();
  app.use(async (c, next) => {
    const requestId = randomUUID();
    const startedMs = clock.monotonicMs();
    const requestLog = log.child({ requestId });
    c.set('requestId', requestId);
    c.set('log', requestLog);
    c.set('report', (name, outcome) => {
      const about = { function: name, durationMs: Math.round(clock.monotonicMs() - startedMs) };
      if (outcome.ok) requestLog.info(about, 'done');
      else requestLog.warn({ ...about, errorType: outcome.errorType }, 'the function failed');
    });
    await next();
    c.header('x-amzn-requestid', requestId);
  });
  // For probes, which show nothing.
  app.get('/healthz', (c) => c.text('ok'));
  app.use(
    bodyLimit({
      maxSize: SYNC_BYTES,
      onError: (c) =>
        refusal(c, 413, 'RequestTooLargeException', `The payload is larger than ${SYNC_BYTES} bytes`),
    }),
  );
  app.use(async (c, next) => {
    c.set('body', Buffer.from(await c.req.arrayBuffer()));
    const { pathname, search } = new URL(c.req.url);
    const request = {
      method: c.req.method,
      target: `${pathname}${search}`,
      headers: c.req.header(),
      body: c.get('body'),
    };
    const problem = accessProblem(request, access, clock);
    if (problem === undefined) return next();
    c.get('log').warn({ problem }, 'refused');
    return refusal(c, 403, 'AccessDeniedException', 'Not allowed; the log of the function host says why.');
  });
  registerLambdaApi(app, pools);
  registerHttpForms(app, pools, only);
  app.notFound((c) => refusal(c, 404, 'UnknownOperationException', 'There is no such operation here.'));
  app.onError((error, c) => {
    c.get('log').error({ err: error }, 'the host failed');
    return refusal(c, 500, 'ServiceException', 'The host failed; its log says why.');
  });
  return app;
}
