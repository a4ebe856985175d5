import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';

/** Conjur answers 404 for a variable that no policy declares, and for one that the role may not see. */
export function undeclared(variable: string): RotorError {
  return new RotorError('store.not-found', {
    what: `Conjur has no variable ${variable}, or Rotor's role may not see it`,
    hint: 'Variables are made by policy only: declare it (`- !variable`) and permit read, execute and update to the role, as docs/stores-without-stages.md shows.',
  });
}

export function denied(privilege: string, variable: string): RotorError {
  return new RotorError('store.permission-denied', {
    what: `Conjur: Rotor's role lacks the privilege "${privilege}" on the variable ${variable}`,
    hint: 'Permit it by policy (`- !permit`), as docs/stores-without-stages.md shows.',
  });
}

/** The error for a status that isn't an answer. Bodies stay out of the message, since they may quote the request. */
export function unexpectedStatus(doing: string, { status, headers }: HttpAnswer): RotorError {
  if (status === 429) {
    const seconds = Number(headers.get('retry-after'));
    return new RotorError('store.throttled', {
      what: `Conjur: ${doing} is throttled`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    });
  }
  if (status === 401) {
    return new RotorError('store.refused', {
      what: `Conjur refuses the access token at ${doing}`,
      hint: 'Check that the account is right, and that the clocks of Conjur and of the token agree.',
    });
  }
  if (status === 422) {
    return new RotorError('store.unsupported', {
      what: `Conjur takes a parameter of ${doing} for wrong (status 422)`,
      hint: 'Check `account`, `prefix` and the store path: the identifier of a variable has no empty parts.',
    });
  }
  if (status === 413) {
    return new RotorError('store.too-large', { what: `Conjur: ${doing}: the document is too long` });
  }
  const waiting = [502, 503, 504].includes(status);
  return new RotorError('store.unavailable', {
    what: `Conjur: ${doing} answers ${status}`,
    hint: "Look into Conjur's log at this time; a follower takes no writes, so name the leader.",
    ...(waiting ? {} : { kind: status >= 500 ? 'ambiguous' : 'terminal' }),
  });
}
