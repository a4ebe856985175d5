import { ERROR_CODES, type ErrorCode, type ErrorKind } from './error-codes.ts';

export interface ErrorDetails {
  /** What happened, to which object, in words for the person on call. Never contains a secret. */
  readonly what: string;
  /** What to do next, when it is more specific than the code's own hint. */
  readonly hint?: string;
  /** Overrides the code's kind where the call knows better. */
  readonly kind?: ErrorKind;
  /** How long the other side asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The one error family: a stable code, what happened to what, what to do next, and how the saga answers. */
export class RotorError extends Error {
  override readonly name = 'RotorError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.what, details.cause === undefined ? {} : { cause: details.cause });
    const [kind, hint] = ERROR_CODES[code];
    this.code = code;
    this.kind = details.kind ?? kind;
    this.hint = details.hint ?? hint;
    this.retryAfterMs = details.retryAfterMs;
  }

  /** The form kept in the journal, shown by the API and printed by the CLI: no cause, no stack. */
  toJSON(): ErrorRecord {
    return { code: this.code, what: this.message, hint: this.hint };
  }
}

export interface ErrorRecord {
  readonly code: string;
  readonly what: string;
  readonly hint: string;
}

/**
 * Wraps anything thrown into the family. An unknown error counts as `ambiguous`: the saga probes rather
 * than trusts. Its message is dropped, since foreign messages may quote what they were given; the cause keeps it.
 */
export function asRotorError(error: unknown, doing: string): RotorError {
  if (error instanceof RotorError) return error;
  const name = error instanceof Error ? error.name : typeof error;
  return new RotorError('internal.bug', {
    what: `${doing}: unexpected ${name}`,
    kind: 'ambiguous',
    cause: error,
  });
}

/** The `code` that Node and drivers put on errors (`ECONNREFUSED`, SQLSTATE `28P01`), or undefined. */
export function foreignCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
