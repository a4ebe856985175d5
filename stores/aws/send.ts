import type { Call } from '../../core/call.ts';
import type { RotorError } from '../../core/errors.ts';
import { type Asking, ask as askStore, change as changeStore, type Send } from '../send.ts';
import { type Asked, awsError } from './errors.ts';

/** Reads what AWS answered before {@link awsError} does; undefined for what means nothing special here. */
export type Explain = (error: unknown) => RotorError | undefined;

const nothingSpecial: Explain = () => undefined;

/** One question that changes nothing (send.ts of the stores). @throws RotorError `store.*` */
export function ask<T>(call: Call, asked: Asked, send: Send<T>, explain = nothingSpecial): Promise<T> {
  return askStore(call, asking(asked, explain), send);
}

/**
 * One change that AWS takes only once however often it is sent (by its token, or by its precondition).
 * @throws RotorError `store.*`; ambiguous ones only when reading back failed too
 */
export function change(
  call: Call,
  asked: Asked,
  send: Send<unknown>,
  isDone: () => Promise<boolean>,
  explain = nothingSpecial,
): Promise<void> {
  return changeStore(call, asking(asked, explain), send, isDone);
}

function asking(asked: Asked, explain: Explain): Asking {
  return {
    doing: `${asked.object}: ${asked.action}`,
    translate: (thrown) => explain(thrown) ?? awsError(thrown, asked),
  };
}
