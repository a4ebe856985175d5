import { RotorError } from '../../core/errors.ts';
import { unexpectedAnswer, withoutConnection } from '../connection-errors.ts';

/** What was asked of AWS, for messages and to name the permission that is missing. */
export interface Asked {
  /** `secretsmanager:PutSecretValue`, as IAM policies name it. */
  readonly action: string;
  /** `secret shop/app`. */
  readonly object: string;
  /** Who asked, where it isn't the workers. */
  readonly who?: string;
  /** Where the policy is that Rotor needs. */
  readonly page?: string;
}

const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'TooManyUpdates',
  'SlowDown',
  'RequestThrottled',
  'KmsThrottled',
  'OverLimit',
]);
const DENIED = new Set(['AccessDeniedException', 'AccessDenied', 'UnauthorizedOperation']);
const NOT_KNOWN = new Set([
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'OptInRequired',
]);
/** Gone with the next credentials, or as soon as the SDK has learnt AWS's time from this answer. */
const PASSING = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidSignatureException',
  'RequestExpired',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
]);
const KMS = new Set(['DecryptionFailure', 'EncryptionFailure', 'InvalidKeyId', 'KMSInvalidStateException']);
const WORKERS = 'the workers';
const PAGE = 'docs/stores.md';

/** Name of the exception in AWS's answer (`ResourceNotFoundException`); undefined when AWS didn't answer. */
export function exceptionName(error: unknown): string | undefined {
  return statusOf(error) !== undefined && error instanceof Error ? error.name : undefined;
}

/**
 * What went wrong, in the family. AWS's own text goes no further: it may quote what it was given. Exceptions that mean
 * something to one store only (not found, conflict) are that store's to read first.
 */
export function awsError(error: unknown, asked: Asked): RotorError {
  if (error instanceof RotorError) return error;
  const status = statusOf(error);
  return status === undefined ? withoutAnswer(error, asked) : answered(error as Error, status, asked);
}

function answered(error: Error, status: number, asked: Asked): RotorError {
  const { action, object } = asked;
  const request = requestId(error);
  const said = `${object}: AWS answered ${error.name} to ${action}${request ? ` (request ${request})` : ''}`;
  if (THROTTLED.has(error.name) || status === 429) {
    const retryAfterMs = retryAfter(error);
    return new RotorError('store.throttled', {
      what: said,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (DENIED.has(error.name)) return denied(error, said, asked);
  if (NOT_KNOWN.has(error.name)) return new RotorError('store.refused', { what: said });
  if (PASSING.has(error.name)) {
    return new RotorError('store.refused', {
      what: said,
      hint: "Check the clock of this machine, and that the workers' credentials are renewed.",
      kind: 'retryable',
    });
  }
  if (KMS.has(error.name)) {
    return new RotorError('store.unavailable', {
      what: said,
      hint: 'Check that the KMS key is enabled and that its policy lets the workers use it.',
    });
  }
  return unexpectedAnswer(said, status >= 500, 'Look the request up in CloudTrail.');
}

/** AWS names action and resource in its text; both are taken from there, since KMS and STS answer for others too. */
function denied(error: Error, said: string, asked: Asked): RotorError {
  const { action, object, who = WORKERS, page = PAGE } = asked;
  const named = /not authorized to perform: ([\w-]+:\w+)(?: on resource: (arn:[^\s"']+))?/.exec(
    error.message,
  );
  const viaKms = /access to kms is not allowed/i.test(error.message);
  // SQS writes what it was asked in small letters.
  const lacked = named?.[1]?.toLowerCase() === action.toLowerCase() ? action : named?.[1];
  const missing = viaKms ? 'kms:Decrypt and kms:GenerateDataKey' : (lacked ?? action);
  const resource = viaKms ? 'the KMS key of the secret' : (named?.[2] ?? object);
  const explicit = /explicit deny/.test(error.message);
  return new RotorError('store.permission-denied', {
    what: `${said}: ${who} lack${who === WORKERS ? '' : 's'} ${missing} on ${resource}`,
    hint: explicit
      ? `Some policy denies ${missing} explicitly; ${page} has the policy that Rotor needs.`
      : `Allow ${missing} on ${resource}; ${page} has the whole policy.`,
  });
}

function withoutAnswer(error: unknown, { action, object, who = WORKERS }: Asked): RotorError {
  const name = error instanceof Error ? error.name : typeof error;
  const doing = `${object}: ${action}`;
  if (name === 'CredentialsProviderError') {
    return new RotorError('store.refused', {
      what: `${doing}: ${who} ${who === WORKERS ? 'have' : 'has'} no credentials of AWS`,
      hint: `Give ${who} a role (IRSA, Pod Identity), a profile, or credentials in the environment.`,
      // The service that hands them out may be away for a moment.
      kind: 'retryable',
    });
  }
  if (error instanceof Error && /region is missing/i.test(error.message)) {
    return new RotorError('config.invalid', {
      what: `${doing}: no region is known`,
      hint: 'Set `region` in the Store, or AWS_REGION for the workers.',
    });
  }
  return withoutConnection(error, doing);
}

interface Answered {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

function statusOf(error: unknown): number | undefined {
  return (error as Answered | undefined)?.$metadata?.httpStatusCode;
}

function requestId(error: unknown): string | undefined {
  const id = (error as Answered).$metadata?.requestId;
  return id && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}

function retryAfter(error: unknown): number | undefined {
  const seconds = Number((error as Answered).$response?.headers?.['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : undefined;
}
