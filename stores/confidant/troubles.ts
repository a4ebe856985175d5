import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';

const PERMISSION: Readonly<Record<string, string>> = {
  'GET list': 'list',
  GET: 'metadata and get',
  POST: 'create',
  PUT: 'update',
};

export function notThere(name: string): RotorError {
  return new RotorError('store.not-found', {
    what: `Confidant has no credential "${name}"`,
    hint: 'Make it in Confidant and map it to its services, or set `create: true` in the Store.',
  });
}

/** 401 and 403 for a token, 403 for an ACL, and 403 in maintenance too: only the body tells the last one. */
export function refused(method: string, what: string, { status, body }: HttpAnswer): RotorError {
  if (status === 401) {
    return new RotorError('store.refused', {
      what: `Confidant takes no KMS token at ${what}: none was sent, or KMS authentication is off`,
      hint: 'Check `auth` of the Store.',
    });
  }
  if (/maintenance mode/.test(body)) {
    return new RotorError('store.unavailable', {
      what: 'Confidant is in maintenance mode and takes no changes',
      hint: 'Rotor goes on by itself when it has ended.',
    });
  }
  return new RotorError('store.permission-denied', {
    what: `Confidant refuses ${method} of ${what}: the token has ended or is another's, or the ACL doesn't grant "${PERMISSION[method] ?? method}"`,
    hint: "Check that the token is fresh (AUTH_TOKEN_MAX_LIFETIME), from and to whom it is, and Confidant's ACL_MODULE for credentials.",
  });
}

/** The error for a status that isn't an answer. Bodies stay out of the message, since they may quote the request. */
export function unexpectedStatus(doing: string, answer: HttpAnswer): RotorError {
  const { status, headers, body } = answer;
  if (status === 429) {
    const seconds = Number(headers.get('retry-after'));
    return new RotorError('store.throttled', {
      what: `Confidant: ${doing} is throttled`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    });
  }
  if (status === 400 && /Conflicting key pairs/i.test(body)) {
    return new RotorError('store.unsupported', {
      what: `Confidant: ${doing}: a service that this credential is mapped to has another one with the same keys`,
      hint: 'Set `pair` in the Store, so that the whole document is one pair with a name of its own.',
    });
  }
  if (status === 400 && /documentation/i.test(body)) {
    return new RotorError('store.unsupported', {
      what: `Confidant: ${doing}: this Confidant requires documentation, and the credential has none`,
      hint: 'Write it in Confidant; Rotor leaves it as it is.',
    });
  }
  if (status === 409) {
    return new RotorError('store.conflict', {
      what: `Confidant: ${doing}: another credential has this name`,
    });
  }
  if (status === 413) {
    return new RotorError('store.too-large', { what: `Confidant: ${doing}: the document is too long` });
  }
  const waiting = [502, 503, 504].includes(status);
  return new RotorError('store.unavailable', {
    what: `Confidant: ${doing} answers ${status}`,
    hint: "Look into Confidant's log at this time.",
    ...(waiting ? {} : { kind: status >= 500 ? 'ambiguous' : 'terminal' }),
  });
}
