import type { Context, Hono } from 'hono';
import { RotorError } from '../../core/errors.ts';
import type { HostEnv } from '../host/app.ts';
import { errorBody, type Failed, type Outcome, TooManyInvocations } from '../host/outcome.ts';
import type { FunctionPool } from '../host/pool.ts';
import { azureAnswer, eventOfAzure } from './azure.ts';
import { eventOfCloudEvent } from './cloud-event.ts';
import { statusOf } from './outcome-status.ts';

export const HTTP_FORMS = ['http', 'cloudevents', 'azure'] as const;
export type HttpForm = (typeof HTTP_FORMS)[number];

/**
 * The functions in the forms of other platforms: `/http/<name>` takes the event as the body (OpenFaaS, Cloud Run),
 * `/cloudevents/<name>` a CloudEvent (Knative), `/azure/<name>` what Azure's host sends to a custom handler.
 * @param only where the platform calls one function at a path of its own choice
 */
export function registerHttpForms(
  app: Hono<HostEnv>,
  pools: ReadonlyMap<string, FunctionPool>,
  only: { readonly name: string; readonly form: HttpForm } | undefined,
): void {
  for (const form of HTTP_FORMS) {
    app.post(`/${form}/:name`, async (c) => {
      const pool = pools.get(c.req.param('name'));
      if (!pool)
        return c.json({ errorType: 'ResourceNotFound', errorMessage: 'there is no such function' }, 404);
      return ANSWERS[form](c, pool);
    });
  }
  if (!only) return;
  const pool = pools.get(only.name);
  if (!pool)
    throw new RotorError('config.invalid', { what: `--function: there is no function ${only.name}` });
  app.post('*', (c) => ANSWERS[only.form](c, pool));
}

const ANSWERS: Readonly<Record<HttpForm, (c: Context<HostEnv>, pool: FunctionPool) => Promise<Response>>> = {
  async http(c, pool) {
    const outcome = await run(c, pool, () => c.get('body').toString('utf8') || '{}');
    return outcome.ok ? json(c, outcome.payload, 200) : json(c, errorBody(outcome), statusOf(outcome));
  },

  /** No event in the answer: a broker would deliver it again, to everybody who listens for its type. */
  async cloudevents(c, pool) {
    const outcome = await run(c, pool, () =>
      eventOfCloudEvent((name) => c.req.header(name), c.get('body').toString('utf8')),
    );
    return outcome.ok ? c.body(null, 204) : json(c, errorBody(outcome), statusOf(outcome));
  },

  async azure(c, pool) {
    let isHttp = false;
    const outcome = await run(c, pool, () => {
      const invocation = eventOfAzure(c.get('body').toString('utf8'));
      isHttp = invocation.isHttp;
      return invocation.event;
    });
    const status = outcome.ok ? 200 : statusOf(outcome);
    const value: unknown = JSON.parse(outcome.ok ? outcome.payload : errorBody(outcome));
    // Azure counts an invocation as failed, and repeats it by its policy, by this status.
    return c.json(azureAnswer(isHttp, value, outcome.log, status), outcome.ok || isHttp ? 200 : 500);
  },
};

async function run(c: Context<HostEnv>, pool: FunctionPool, event: () => string): Promise<Outcome> {
  const outcome = await attempt(c, pool, event);
  c.get('report')(pool.spec.name, outcome);
  return outcome;
}

async function attempt(c: Context<HostEnv>, pool: FunctionPool, event: () => string): Promise<Outcome> {
  try {
    const text = event();
    JSON.parse(text);
    return await pool.invoke({ requestId: c.get('requestId'), event: text });
  } catch (error) {
    if (error instanceof TooManyInvocations)
      return failed('TooManyRequests', 'all processes are busy', 'retryable');
    if (error instanceof RotorError) return failed(error.code, `${error.message}. ${error.hint}`, error.kind);
    if (error instanceof SyntaxError)
      return failed('function.invalid-event', 'the body is not JSON', 'terminal');
    throw error;
  }
}

function failed(errorType: string, errorMessage: string, kind: Failed['kind']): Failed {
  return { ok: false, errorType, errorMessage, kind, log: '' };
}

function json(c: Context<HostEnv>, body: string, status: 200 | 400 | 422 | 503): Response {
  c.header('content-type', 'application/json');
  return c.body(body, status);
}
