import type { ErrorKind } from '../../core/error-codes.ts';
import type { RotorError } from '../../core/errors.ts';

/**
 * An error as the caller of a function sees it: the stable code as its type, what happened and what to do as its message.
 * Without cause and stack, which Lambda would log and hand to the caller.
 */
export class FunctionFailure extends Error {
  /** Whether the same event may be sent again with hope; the HTTP forms answer by it. */
  readonly kind: ErrorKind;

  constructor({ code, message, hint, kind }: RotorError) {
    super(`${message.replace(/\.$/, '')}. ${hint}`);
    this.name = code;
    this.kind = kind;
    this.stack = `${this.name}: ${this.message}`;
  }
}
