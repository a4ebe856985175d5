import type { Call } from '../../core/call.ts';
import type { Lent } from './secret-desk.ts';

/** What AWS Secrets Manager sends to a rotation function (user guide, "Rotation by Lambda function"). */
export interface StepEvent {
  readonly Step: string;
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

/**
 * How an invocation ended, as far as the function itself tells. `failed`: it ran and says that it failed, which may be its
 * way to say that a credential is refused.
 */
export type StepOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly errorType: string; readonly errorMessage: string };

/**
 * One way to reach a function.
 * @throws RotorError when it isn't the function itself that answers: it can't be reached, is throttled, may not be called
 *   (nothing has happened), or took too long or crashed (`ambiguous`)
 */
export interface Invoker {
  /** Which function it is, for messages. */
  readonly name: string;
  /** @param lent the API that is open to it; undefined for one that works on AWS itself */
  invoke(call: Call, event: StepEvent, lent: Lent | undefined): Promise<StepOutcome>;
}

/** The error that a JSON text of Lambda's form holds: `{"errorType","errorMessage"}`. */
export function errorOf(
  text: string,
): { readonly errorType: string; readonly errorMessage: string } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { errorType, errorMessage } = parsed as Record<string, unknown>;
  if (typeof errorMessage !== 'string') return undefined;
  return { errorType: typeof errorType === 'string' ? errorType.slice(0, 100) : 'Error', errorMessage };
}
