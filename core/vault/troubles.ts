import type { ErrorCode } from '../error-codes.ts';
import { RotorError } from '../errors.ts';
import type { HttpAnswer } from '../http.ts';

/** As what Vault is spoken to: it names the family of the errors, and what their remedies speak of. */
export type Side = 'store' | 'provider';

interface Words {
  readonly refused: ErrorCode;
  readonly denied: ErrorCode;
  readonly throttled: ErrorCode;
  readonly missing: ErrorCode;
  readonly tooLarge: ErrorCode;
  readonly unavailable: ErrorCode;
  readonly manifest: string;
}

export const WORDS: Readonly<Record<Side, Words>> = {
  store: {
    refused: 'store.refused',
    denied: 'store.permission-denied',
    throttled: 'store.throttled',
    missing: 'store.not-found',
    tooLarge: 'store.too-large',
    unavailable: 'store.unavailable',
    manifest: 'Store',
  },
  provider: {
    refused: 'provider.refused-admin',
    denied: 'provider.permission-denied',
    throttled: 'provider.throttled',
    missing: 'provider.unsupported',
    tooLarge: 'provider.unsupported',
    unavailable: 'provider.unreachable',
    manifest: 'Provider',
  },
};

/** What a token's policy has to allow, by method. Vault's page on policies. */
const CAPABILITY: Readonly<Record<string, string>> = {
  GET: 'read',
  LIST: 'list',
  POST: 'create and update',
  PUT: 'update',
  DELETE: 'delete',
};

/** 403 says the same for a wrong token, a policy that lacks something, and a path that isn't there. */
export function refused(side: Side, method: string, path: string): RotorError {
  return new RotorError(WORDS[side].denied, {
    what: `Vault refuses ${method} ${path}: the policy of Rotor's token needs "${CAPABILITY[method]}" on "${path}"`,
    hint: 'docs/vault.md has the whole policy; `vault token capabilities <token> <path>` shows what it may do.',
  });
}

/**
 * The error for a status that isn't an answer (Vault's page on its HTTP API lists them). Bodies stay out of the
 * message, since they may quote the request.
 */
export function unexpectedStatus(
  side: Side,
  doing: string,
  { status, headers, body }: HttpAnswer,
): RotorError {
  const words = WORDS[side];
  if (status === 429) {
    const seconds = Number(headers.get('retry-after'));
    return new RotorError(words.throttled, {
      what: `Vault: ${doing} exceeds a rate limit quota`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    });
  }
  if (status === 404) {
    return new RotorError(words.missing, {
      what: `Vault has nothing at ${doing}: is the engine mounted there, and the namespace right?`,
      hint: `Compare \`address\`, \`namespace\` and \`mount\` of the ${words.manifest} with \`vault secrets list\`.`,
    });
  }
  if (status === 413 || /too large|exceeds (maximum|allowed)|entry exceeds/i.test(body)) {
    return new RotorError(words.tooLarge, {
      what: `Vault: ${doing}: the document is larger than this Vault takes (1 MiB at most, with some storages half of that)`,
    });
  }
  const sealed = status === 503 && /sealed/i.test(body);
  // 412: a standby that hasn't caught up; 472, 473: a secondary or a standby that doesn't forward.
  const waiting = [412, 472, 473, 502, 503, 504].includes(status);
  return new RotorError(words.unavailable, {
    what: `Vault: ${doing} answers ${status}${sealed ? ': it is sealed' : ''}`,
    hint: sealed ? 'Unseal Vault; Rotor goes on by itself.' : "Look into Vault's log at this time.",
    ...(waiting ? {} : { kind: status >= 500 ? 'ambiguous' : 'terminal' }),
  });
}
