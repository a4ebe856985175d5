import type { ErrorCode } from '../../core/error-codes.ts';
import { asRotorError, type RotorError } from '../../core/errors.ts';

type Status = 400 | 401 | 403 | 404 | 409 | 413 | 429 | 500 | 502 | 503;

const STATUS: Partial<Record<ErrorCode, Status>> = {
  'api.unauthorized': 401,
  'api.forbidden': 403,
  'api.invalid': 400,
  'api.rate-limited': 429,
  'manifest.invalid': 400,
  'ledger.not-found': 404,
  'ledger.conflict': 409,
  'ledger.unavailable': 503,
  'reference.unresolved': 400,
};

/** Status and body for anything thrown: the error family in words, nothing of foreign errors. */
export function answerFor(thrown: unknown): { readonly error: RotorError; readonly status: Status } {
  const error = asRotorError(thrown, 'the request');
  return { error, status: STATUS[error.code] ?? 500 };
}
