import type { RotorError } from '../../core/errors.ts';

/**
 * An error as the caller of a function sees it: the stable code as its type, what happened and what to do as its message.
 * Without cause and stack, which Lambda would log and hand to the caller.
 */
export class FunctionFailure extends Error {
  constructor({ code, message, hint }: RotorError) {
    super(`${message.replace(/\.$/, '')}. ${hint}`);
    this.name = code;
    this.stack = `${this.name}: ${this.message}`;
  }
}
