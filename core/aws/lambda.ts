import { clientsOf } from '../clients.ts';
import { foreignCode, RotorError } from '../errors.ts';
import type { Deadline } from '../retry.ts';
import { awsConnection } from './connection.ts';
import type { AwsSpec } from './spec.ts';

/** A function of AWS Lambda, or of anything that speaks its API at `aws.endpoint`. */
export interface LambdaFunction {
  /** Name or ARN. */
  readonly name: string;
  readonly qualifier?: string | undefined;
  /** Without a region that of the ARN. */
  readonly aws: AwsSpec;
}

const THROTTLED =
  /^(TooManyRequestsException|ThrottlingException|EC2ThrottledException|ENILimitReachedException)$/;
/** The function is being changed or woken; Invoke's reference asks to try again. */
const NOT_YET =
  /^(ResourceConflictException|ResourceNotReadyException|SnapStart\w*Exception|EFS\w+Exception)$/;
/** With the next credentials, or the right time, it may do. */
const SOON_AGAIN = /^(ExpiredToken\w*|InvalidSignatureException)$/;
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

const clientOf = clientsOf(async (spec: AwsSpec) => {
  const [{ LambdaClient }, connection] = await Promise.all([
    import('@aws-sdk/client-lambda'),
    awsConnection(spec),
  ]);
  return new LambdaClient(connection);
});

/**
 * Invokes a function once and waits for its answer (RequestResponse); what is repeated is the caller's to decide. A function
 * that fails is an answer too (`failed`), and its payload may quote anything.
 * @param what for messages
 * @throws RotorError `provider.*` (docs.aws.amazon.com/lambda/latest/api, "Invoke"), `call.timeout`
 */
export async function lambdaInvoke(
  deadline: Deadline,
  what: string,
  lambda: LambdaFunction,
  event: string,
): Promise<{ readonly payload: string; readonly failed: boolean }> {
  return asked(what, lambda, 'lambda:InvokeFunction', async () => {
    const { InvokeCommand } = await import('@aws-sdk/client-lambda');
    const client = await clientOf(placeOf(lambda));
    const request = new InvokeCommand({
      ...named(lambda),
      InvocationType: 'RequestResponse',
      Payload: Buffer.from(event),
    });
    const answer = await deadline.run(what, (abortSignal) => client.send(request, { abortSignal }));
    return {
      payload: Buffer.from(answer.Payload ?? []).toString('utf8'),
      failed: answer.FunctionError !== undefined,
    };
  });
}

/**
 * After which time Lambda ends an invocation, by the function's configuration.
 * @returns milliseconds
 * @throws RotorError `provider.*`, `call.timeout`
 */
export async function lambdaTimeoutMs(
  deadline: Deadline,
  what: string,
  lambda: LambdaFunction,
): Promise<number> {
  return asked(what, lambda, 'lambda:GetFunctionConfiguration', async () => {
    const { GetFunctionConfigurationCommand } = await import('@aws-sdk/client-lambda');
    const client = await clientOf(placeOf(lambda));
    const request = new GetFunctionConfigurationCommand(named(lambda));
    const { Timeout } = await deadline.run(what, (abortSignal) => client.send(request, { abortSignal }));
    if (Timeout !== undefined) return Timeout * 1_000;
    throw new RotorError('provider.unsupported', { what: `${what}: its configuration has no Timeout` });
  });
}

function named({ name: FunctionName, qualifier }: LambdaFunction) {
  return { FunctionName, ...(qualifier ? { Qualifier: qualifier } : {}) };
}

/** `arn:aws:lambda:eu-central-1:123456789012:function:name`. */
function placeOf({ name, aws }: LambdaFunction): AwsSpec {
  const region = aws.region ?? /^arn:[^:]+:lambda:([^:]+):/.exec(name)?.[1];
  return { ...aws, ...(region ? { region } : {}) };
}

async function asked<T>(
  what: string,
  { name }: LambdaFunction,
  permission: string,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof RotorError ? error : explained(error, what, name, permission);
  }
}

interface Answered {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

function explained(error: unknown, what: string, asked: string, permission: string): RotorError {
  const { name = '', $metadata, $response } = error as Answered;
  const status = $metadata?.httpStatusCode;
  const details = { cause: error };
  if (THROTTLED.test(name) || status === 429) {
    const seconds = Number($response?.headers?.['retry-after']);
    return new RotorError('provider.throttled', {
      ...details,
      what: `${what}: Lambda throttles (${name})`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {}),
    });
  }
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
      hint: 'Give this process a role (IRSA, Pod Identity), a profile, or credentials in its environment, and a region.',
      ...(SOON_AGAIN.test(name) ? { kind: 'retryable' } : {}),
    });
  }
  if (/^AccessDenied/.test(name) || status === 403) {
    return new RotorError('provider.permission-denied', {
      ...details,
      what: `${what}: AWS asks for the permission ${permission} on ${asked} (${name})`,
      hint: `Allow ${permission} on ${asked} to the role of this process.`,
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
      hint: 'Correct the name, the qualifier and the region of the function.',
    });
  }
  if (status !== undefined && status >= 400 && status < 500) {
    return new RotorError('provider.unsupported', {
      ...details,
      what: `${what}: Lambda refuses the call (${name})`,
      hint: 'Look at the state of the function: aws lambda get-function.',
    });
  }
  const code = foreignCode(error) ?? (name || 'unknown error');
  if (NEVER_SENT.has(code))
    return new RotorError('provider.unreachable', {
      ...details,
      what: `${what}: no connection to Lambda (${code})`,
    });
  return new RotorError('provider.connection-lost', {
    ...details,
    what: `${what}: no usable answer of Lambda (${code})`,
  });
}
