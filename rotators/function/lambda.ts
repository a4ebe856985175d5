import type { LambdaClient } from '@aws-sdk/client-lambda';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { errorOf, type Invoker, type StepOutcome } from './invoke.ts';
import type { LambdaSpec } from './spec.ts';

const CONNECT_MS = 5_000;
const THROTTLED =
  /^(TooManyRequestsException|ThrottlingException|EC2ThrottledException|ENILimitReachedException)$/;
/** The function is being changed or woken; Invoke's reference asks to try again. */
const NOT_YET =
  /^(ResourceConflictException|ResourceNotReadyException|SnapStart\w*Exception|EFS\w+Exception)$/;
/** What Lambda itself says of an invocation that came to no end (developer guide, "Function errors"). */
const NO_END = /^(Sandbox\.Timedout|Runtime\.|Function\.|Extension\.)/;
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * A function of AWS Lambda, invoked and waited for (RequestResponse). Once: what is repeated is the saga's to decide. The
 * default chain finds the credentials.
 */
export function lambdaInvoker({ name: asked, qualifier, region, endpoint }: LambdaSpec): Invoker {
  const name = `function ${asked}${qualifier ? `:${qualifier}` : ''}`;
  let client: LambdaClient | undefined;
  return {
    name,
    async invoke(call, event): Promise<StepOutcome> {
      const what = `${event.Step} of ${name}`;
      const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda');
      const place = region ?? regionOf(asked);
      client ??= new LambdaClient({
        maxAttempts: 1,
        ...(place ? { region: place } : {}),
        ...(endpoint ? { endpoint } : {}),
        requestHandler: { connectionTimeout: CONNECT_MS },
      });
      const opened = client;
      const request = new InvokeCommand({
        FunctionName: asked,
        ...(qualifier ? { Qualifier: qualifier } : {}),
        InvocationType: 'RequestResponse',
        Payload: JSON.stringify(event),
      });
      try {
        const answer = await call.deadline.run(what, (abortSignal) => opened.send(request, { abortSignal }));
        if (answer.FunctionError === undefined) return { ok: true };
        const told = errorOf(Buffer.from(answer.Payload ?? []).toString('utf8'));
        const failed = { errorType: told?.errorType ?? 'Error', errorMessage: told?.errorMessage ?? '' };
        if (!NO_END.test(failed.errorType) && !/Task timed out after/.test(failed.errorMessage))
          return { ok: false, ...failed };
        throw new RotorError('function.failed', { what: `${what}: it came to no end (${failed.errorType})` });
      } catch (error) {
        throw explained(error, what, asked);
      }
    },
  };
}

/** `arn:aws:lambda:eu-central-1:123456789012:function:name`. */
function regionOf(asked: string): string | undefined {
  return /^arn:[^:]+:lambda:([^:]+):/.exec(asked)?.[1];
}

function explained(error: unknown, what: string, asked: string): RotorError {
  if (error instanceof RotorError) return error;
  const { name = '', $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  const details = { cause: error };
  if (THROTTLED.test(name) || status === 429)
    return new RotorError('provider.throttled', { ...details, what: `${what}: Lambda throttles (${name})` });
  if (NOT_YET.test(name)) {
    return new RotorError('provider.unreachable', { ...details, what: `${what}: it is not ready (${name})` });
  }
  if (
    /Credentials|UnrecognizedClient|InvalidSignature|ExpiredToken|Region is missing/.test(
      `${name} ${String(error)}`,
    )
  ) {
    return new RotorError('provider.refused-admin', {
      ...details,
      what: `${what}: AWS doesn't know who calls (${name})`,
      hint: 'Give the workers a role (IRSA, Pod Identity), a profile, or credentials in their environment, and a region.',
    });
  }
  if (/^AccessDenied/.test(name) || status === 403) {
    return new RotorError('provider.permission-denied', {
      ...details,
      what: `${what}: the workers lack lambda:InvokeFunction on ${asked} (${name})`,
      hint: `Allow lambda:InvokeFunction on ${asked} to the role of the workers.`,
    });
  }
  if (/^KMS/.test(name)) {
    return new RotorError('provider.permission-denied', {
      ...details,
      what: `${what}: Lambda can't use the key of the function's variables (${name})`,
      hint: "Allow kms:Decrypt on the function's key to its role, and see that the key is enabled.",
    });
  }
  if (name === 'ResourceNotFoundException') {
    return new RotorError('provider.unsupported', {
      ...details,
      what: `${what}: there is no such function`,
      hint: 'Correct `name`, `qualifier` and `region` of the provider.',
    });
  }
  if (status !== undefined && status >= 400 && status < 500) {
    return new RotorError('provider.unsupported', {
      ...details,
      what: `${what}: Lambda refuses the invocation (${name})`,
      hint: 'Look at the state of the function: aws lambda get-function.',
    });
  }
  const code = foreignCode(error) ?? (name || 'unknown error');
  if (NEVER_SENT.has(code))
    return new RotorError('provider.unreachable', { ...details, what: `${what}: no connection (${code})` });
  return new RotorError('provider.connection-lost', {
    ...details,
    what: `${what}: no usable answer (${code})`,
  });
}
