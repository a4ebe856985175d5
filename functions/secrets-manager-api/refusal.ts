import type { RotorError } from '../../core/errors.ts';

/** An error of the API, with the name and status that AWS documents for it. */
export class ApiRefusal extends Error {
  readonly type: string;
  readonly status: 400 | 500;

  constructor(type: string, message: string, status: 400 | 500 = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/** What the store behind the API says, in AWS's words (Secrets Manager API reference, "Common errors"). */
export function refusalOf({ code, message }: RotorError): ApiRefusal {
  switch (code) {
    case 'store.not-found':
      return notFound();
    case 'store.throttled':
      return new ApiRefusal('ThrottlingException', 'Rate exceeded');
    case 'store.permission-denied':
    case 'store.refused':
      return new ApiRefusal('AccessDeniedException', message);
    case 'store.conflict':
    case 'store.fenced':
      return new ApiRefusal('InvalidRequestException', message);
    case 'store.too-large':
    case 'store.unsupported':
      return new ApiRefusal('InvalidParameterException', message);
    default:
      return new ApiRefusal('InternalServiceError', 'An error occurred on the server side.', 500);
  }
}

export function notFound(label?: string): ApiRefusal {
  return new ApiRefusal(
    'ResourceNotFoundException',
    label === undefined
      ? "Secrets Manager can't find the specified secret."
      : `Secrets Manager can't find the specified secret value for ${label}`,
  );
}
