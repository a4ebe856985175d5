import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { jsonIn } from '../../core/json.ts';
import type { Logger } from '../../core/log.ts';
import type { Loans, OpenLoan } from './loans.ts';
import { GRANTED, OPERATIONS } from './operations.ts';
import { ApiRefusal, refusalOf } from './refusal.ts';

/** Secrets Manager takes values of 64 kB; JSON may double them. */
const MAX_BYTES = 256 * 1024;
const TARGET = /^secretsmanager\.([A-Za-z]{1,64})$/;

/**
 * The part of the Secrets Manager API that rotation functions call, as AWS documents it: JSON 1.1, `X-Amz-Target`, Signature
 * Version 4. Who signs with no key of a running invocation learns nothing.
 */
export function secretsManagerApp(loans: Loans, log: Logger): Hono {
  const app = new Hono();
  const tooLarge = (c: Context) =>
    answer(c, new ApiRefusal('SerializationException', 'The request is too large.'));
  app.post('/', bodyLimit({ maxSize: MAX_BYTES, onError: tooLarge }), async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer());
    const operation = TARGET.exec(c.req.header('x-amz-target') ?? '')?.[1] ?? '';
    const request = jsonIn(body.toString('utf8'));
    const { pathname, search } = new URL(c.req.url);
    const signed = { method: 'POST', target: `${pathname}${search}`, headers: c.req.header(), body };
    const found = loans.find(signed, secretIdOf(request));
    if (typeof found === 'string') {
      log.warn({ problem: found, operation }, 'refused: not one of the functions that work now');
      return answer(
        c,
        new ApiRefusal(
          'UnrecognizedClientException',
          'The security token included in the request is invalid.',
        ),
      );
    }
    try {
      const result = await perform(found, operation, request);
      found.problems.delete(operation);
      c.header('content-type', 'application/x-amz-json-1.1');
      return c.body(JSON.stringify(result), 200);
    } catch (thrown) {
      return answer(c, refused(found, operation, thrown));
    }
  });
  app.notFound((c) => answer(c, new ApiRefusal('UnknownOperationException', 'There is nothing here.')));
  app.onError((_error, c) => answer(c, new ApiRefusal('InternalServiceError', 'The API failed.', 500)));
  return app;
}

async function perform(open: OpenLoan, operation: string, request: unknown): Promise<object> {
  const known = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : undefined;
  const { loan, call, versions, arn, name } = open;
  if (!known || !GRANTED[loan.doing].includes(operation))
    throw notGranted(open, operation, known !== undefined);
  if (request === undefined) throw new ApiRefusal('SerializationException', 'The body is no JSON.');
  // What the function does after its time would come too late for everybody who waits for it.
  call.deadline.assertTime(`${operation} in ${loan.step}`);
  const desk = {
    loan,
    versions,
    arn,
    name,
    random: call.random,
    handed: (value: (typeof open.handed)[number]) => void open.handed.push(value),
    put: (document: (typeof open.handed)[number]) => {
      open.put = document;
    },
  };
  return known(desk, request);
}

function notGranted({ loan, name }: OpenLoan, operation: string, known: boolean): RotorError {
  const right = `secretsmanager:${operation || '(no operation)'}`;
  return new RotorError('provider.permission-denied', {
    what: `the function asked for ${right} on ${name}, which a function ${known ? 'may not do' : 'may never do'} in ${loan.step}`,
    hint: `In ${loan.step} a function has ${GRANTED[loan.doing].map((each) => `secretsmanager:${each}`).join(', ')}; correct the function.`,
  });
}

/** What the function is told; what stands behind it is kept for those who sent the function. */
function refused(open: OpenLoan, operation: string, thrown: unknown): ApiRefusal {
  if (thrown instanceof ApiRefusal) return thrown;
  const error = asRotorError(thrown, `${operation} for a function`);
  open.problems.delete(operation);
  open.problems.set(operation, error);
  open.call.log.warn({ err: error, operation, step: open.loan.step }, 'a call of the function failed');
  if (error.code !== 'provider.permission-denied') return refusalOf(error);
  return new ApiRefusal(
    'AccessDeniedException',
    `User: rotor is not authorized to perform: secretsmanager:${operation} on resource: ${open.arn}`,
  );
}

function answer(c: Context, { type, message, status }: ApiRefusal): Response {
  c.header('content-type', 'application/x-amz-json-1.1');
  c.header('x-amzn-errortype', type);
  return c.body(JSON.stringify({ __type: type, message, Message: message }), status);
}

function secretIdOf(request: unknown): string | undefined {
  if (typeof request !== 'object' || request === null || !('SecretId' in request)) return undefined;
  return typeof request.SecretId === 'string' ? request.SecretId : undefined;
}
