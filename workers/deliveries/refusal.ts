import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';
import { rateLimitMs } from '../../core/rate-limit.ts';

/** What the words of a refusal need to know. */
export interface Asked {
  /** As {@link DeliverySession.target}. */
  readonly target: string;
  /** `write the variable ORDERS_DB_URL`. */
  readonly doing: string;
  readonly now: Date;
  /** What the token must be allowed for this: `the scope "api" and the role Maintainer`. */
  readonly needs?: string;
}

/**
 * An answer that isn't the one asked for, in the family's words: only its status and rate limit are told, since a body may
 * quote what it was sent.
 */
export function refusal(answer: HttpAnswer, { target, doing, now, needs }: Asked): RotorError {
  const { status } = answer;
  const told = `${target}: answered ${status} when asked to ${doing}`;
  const waitMs = rateLimitMs(answer, now);
  if (waitMs !== undefined) return new RotorError('delivery.throttled', { what: told, retryAfterMs: waitMs });
  const hint = needs === undefined ? {} : { hint: `Give the token ${needs}.` };
  if (status === 401) return new RotorError('delivery.refused', { what: `${told}: the token is not valid` });
  if (status === 403)
    return new RotorError('delivery.permission-denied', {
      what: needs ? `${told}: it needs ${needs}` : told,
      ...hint,
    });
  if (status === 404 || status === 410)
    return new RotorError('delivery.not-found', {
      what: `${told}: it is not there, or the token may not see it`,
      ...(needs === undefined ? {} : { hint: `Check the names in the policy, or give the token ${needs}.` }),
    });
  // Whoever answers these may have done it all the same, or will do it the next time.
  if (status === 408 || status === 409 || status === 425 || status >= 500)
    return new RotorError('delivery.failed', {
      what: told,
      kind: 'ambiguous',
      hint: 'Nothing to do: Rotor looks what happened and repeats. If it lasts, look at the service.',
    });
  if (status >= 300 && status < 400)
    return new RotorError('delivery.invalid', {
      what: `${told}: it leads elsewhere, and no redirect is followed with a secret`,
      hint: 'Write the address or name that it has today.',
    });
  return new RotorError('delivery.invalid', { what: told });
}
