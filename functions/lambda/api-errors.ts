import { foreignCode, RotorError } from '../../core/errors.ts';

/** What was asked of Secrets Manager, and whether it may have changed something. */
export interface Asked {
  readonly operation: string;
  readonly secretId: string;
  readonly changes: boolean;
}

const THROTTLED = /Throttl|TooManyRequests|LimitExceeded|SlowDown/;
const NO_IDENTITY =
  /Credentials|UnrecognizedClient|InvalidClientToken|ExpiredToken|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature/;

/**
 * Puts an error of the AWS SDK into the family. AWS's own words are kept only where they can't quote what was sent: those
 * of AccessDenied, which name the identity and the permission that it lacks.
 */
export function apiError(error: unknown, { operation, secretId, changes }: Asked): RotorError {
  if (error instanceof RotorError) return error;
  const { name = '', message = '' } = error as { name?: string; message?: string };
  const doing = `${operation} of ${secretId}`;
  const details = { cause: error };
  if (name === 'ResourceNotFoundException')
    return new RotorError('store.not-found', {
      ...details,
      what: `${doing}: there is no such secret or version`,
    });
  if (/^AccessDenied/.test(name) || name === 'KMSAccessDeniedException') {
    return new RotorError('store.permission-denied', {
      ...details,
      what: `${doing}: access denied: ${message}`,
      hint: `Allow secretsmanager:${operation} on the secret to the function's role, and kms:Decrypt and kms:GenerateDataKey on its key (docs/functions.md, "Permissions").`,
    });
  }
  if (name === 'DecryptionFailure' || name === 'EncryptionFailure') {
    return new RotorError('store.permission-denied', {
      ...details,
      what: `${doing}: the secret's KMS key could not be used (${name})`,
      hint: "Allow kms:Decrypt and kms:GenerateDataKey on the secret's key to the function's role, and see that the key is enabled.",
    });
  }
  if (NO_IDENTITY.test(name)) {
    return new RotorError('store.refused', {
      ...details,
      what: `${doing}: AWS does not accept the credentials of this function, or there are none (${name})`,
      hint: 'Give the function a role; outside of AWS set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.',
    });
  }
  if (/^(InvalidRequest|InvalidParameter|ResourceExists)Exception$/.test(name)) {
    return new RotorError('store.conflict', {
      ...details,
      what: `${doing}: Secrets Manager refuses it in the state that the secret is in (${name})`,
      hint: 'See with `aws secretsmanager describe-secret` who holds AWSCURRENT and AWSPENDING, and whether the secret is being deleted.',
    });
  }
  const word = foreignCode(error) ?? (name || 'unknown error');
  if (THROTTLED.test(name)) {
    return new RotorError('store.throttled', {
      ...details,
      what: `${doing}: throttled (${word})`,
      hint: 'Nothing to do: the step is repeated without harm.',
    });
  }
  return new RotorError('store.unavailable', {
    ...details,
    what: `${doing}: no usable answer (${word})`,
    hint: "Nothing to do if it doesn't repeat: the step is repeated without harm. Else see that the function reaches Secrets Manager (VPC endpoint, SECRETS_MANAGER_ENDPOINT).",
    kind: changes ? 'ambiguous' : 'retryable',
  });
}
