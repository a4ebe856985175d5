import type { Context, Hono } from 'hono';
import { jsonIn } from '../../core/json.ts';
import type { HostEnv } from './app.ts';
import { errorBody, type Outcome, TooManyInvocations } from './outcome.ts';
import type { FunctionPool } from './pool.ts';

/** Lambda's limits (developer guide, "Lambda quotas"): 6 MB each way, 1 MB for events whose answer nobody waits for. */
export const SYNC_BYTES = 6 * 1024 * 1024;
const ASYNC_BYTES = 1024 * 1024;

type Pools = ReadonlyMap<string, FunctionPool>;

/**
 * The Invoke operation of Lambda's API, for the AWS CLI and the SDKs: status codes, headers and bodies as its reference has
 * them. A function that fails is an answer 200 with `X-Amz-Function-Error`.
 */
export function registerLambdaApi(app: Hono<HostEnv>, pools: Pools): void {
  app.post('/2015-03-31/functions/:name/invocations', async (c) => {
    const asked = c.req.param('name');
    const pool = pools.get(functionName(asked));
    const qualifier = c.req.query('Qualifier') ?? qualifierOf(asked) ?? '$LATEST';
    if (!pool || qualifier !== '$LATEST')
      return refusal(c, 404, 'ResourceNotFoundException', `Function not found: ${asked}:${qualifier}`);
    const type = c.req.header('x-amz-invocation-type') ?? 'RequestResponse';
    if (type === 'DryRun') return c.body(null, 204);
    if (type !== 'RequestResponse' && type !== 'Event')
      return refusal(
        c,
        400,
        'InvalidParameterValueException',
        `Unknown invocation type: ${type.slice(0, 40)}`,
      );
    const body = c.get('body');
    if (type === 'Event' && body.length > ASYNC_BYTES)
      return refusal(
        c,
        413,
        'RequestTooLargeException',
        `${body.length} byte payload is too large for the Event invocation type (limit ${ASYNC_BYTES} bytes)`,
      );
    const event = body.length === 0 ? '{}' : body.toString('utf8');
    if (jsonIn(event) === undefined)
      return refusal(c, 400, 'InvalidRequestContentException', 'Could not parse request body into json');
    const requestId = c.get('requestId');
    if (type === 'Event') {
      void pool.invoke({ requestId, event }, true).then(
        (outcome) => c.get('report')(pool.spec.name, outcome),
        () => c.get('log').error('the event is lost: the host has too many waiting, or ends'),
      );
      return c.body(null, 202);
    }
    try {
      const outcome = await pool.invoke({ requestId, event });
      c.get('report')(pool.spec.name, outcome);
      return answer(c, limited(outcome));
    } catch (error) {
      if (!(error instanceof TooManyInvocations)) throw error;
      c.header('retry-after', '1');
      return refusal(c, 429, 'TooManyRequestsException', 'Rate Exceeded.', {
        Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded',
      });
    }
  });
}

/** `name`, `123456789012:function:name` or a whole ARN, each with or without `:qualifier`. */
export function functionName(asked: string): string {
  const parts = asked.split(':');
  const at = parts.lastIndexOf('function');
  return parts[at + 1] ?? '';
}

function qualifierOf(asked: string): string | undefined {
  const parts = asked.split(':');
  return parts[parts.lastIndexOf('function') + 2];
}

function answer(c: Context<HostEnv>, outcome: Outcome): Response {
  c.header('content-type', 'application/json');
  c.header('x-amz-executed-version', '$LATEST');
  if (c.req.header('x-amz-log-type') === 'Tail')
    c.header('x-amz-log-result', Buffer.from(outcome.log).toString('base64'));
  if (outcome.ok) return c.body(outcome.payload, 200);
  // As Lambda calls what its Node.js runtime throws, too.
  c.header('x-amz-function-error', 'Unhandled');
  return c.body(errorBody(outcome), 200);
}

function limited(outcome: Outcome): Outcome {
  const size = outcome.ok ? Buffer.byteLength(outcome.payload) : 0;
  if (size <= SYNC_BYTES) return outcome;
  return {
    ok: false,
    errorType: 'Function.ResponseSizeTooLarge',
    errorMessage: `Response payload size (${size} bytes) exceeded maximum allowed payload size (${SYNC_BYTES} bytes).`,
    kind: undefined,
    log: outcome.log,
  };
}

/** @param more members of the body besides Type and Message */
export function refusal(
  c: Context<HostEnv>,
  status: 400 | 403 | 404 | 413 | 429 | 500,
  type: string,
  message: string,
  more: Readonly<Record<string, string>> = {},
): Response {
  c.header('x-amzn-errortype', type);
  const side = status === 500 ? 'Service' : 'User';
  return c.json({ Type: side, Message: message, message, ...more }, status);
}
