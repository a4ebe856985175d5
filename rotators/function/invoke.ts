import type { Call } from '../../core/call.ts';
import { formatDuration } from '../../core/duration.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
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
  /**
   * After which time the function is ended by those who run it, in milliseconds; absent where nobody tells.
   * @throws RotorError when they don't tell Rotor
   */
  limitMs?(call: Call): Promise<number>;
  /** @param lent the API that is open to it; undefined for one that works on AWS itself */
  invoke(call: Call, event: StepEvent, lent: Lent | undefined): Promise<StepOutcome>;
}

/**
 * Looks whether the function ends before Rotor stops waiting for it: else it would go on unseen, and what it does would land
 * after the rotation has turned back.
 * @returns warnings
 * @throws RotorError `manifest.invalid` when it doesn't
 */
export async function ownLimit(
  call: Call,
  { name, limitMs }: Invoker,
  timeoutMs: number,
): Promise<readonly string[]> {
  let limit: number | undefined;
  try {
    limit = await limitMs?.(call);
  } catch (thrown) {
    const { message } = asRotorError(thrown, `the configuration of ${name}`);
    return [`whether ${name} ends within \`timeout\` of the provider is not known: ${message}`];
  }
  if (limit === undefined || limit <= timeoutMs) return [];
  throw new RotorError('manifest.invalid', {
    what: `${name} may run for ${formatDuration(limit)}, and Rotor waits for ${formatDuration(timeoutMs)} only: what it does after that would be unseen`,
    hint: "Raise `timeout` of the provider, or lower the function's own.",
  });
}

/** What Lambda itself says of an invocation that came to no end (developer guide, "Function errors"). */
const NO_END = /^(Sandbox\.Timedout|Runtime\.|Function\.|Extension\.)/;

/**
 * A failure as the function, or Lambda for it, tells it.
 * @throws RotorError `function.failed` when it came to no end, which is no answer of the function
 */
export function failureOf(
  what: string,
  told: { readonly errorType: string; readonly errorMessage: string },
): StepOutcome {
  if (!NO_END.test(told.errorType) && !/Task timed out after/.test(told.errorMessage))
    return { ok: false, ...told };
  throw new RotorError('function.failed', { what: `${what}: it came to no end (${told.errorType})` });
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
