import { RotorError } from '../../core/errors.ts';
import type { HttpAnswer } from '../../core/http.ts';

/** What a token's policy has to allow, by method. Vault's page on policies. */
const CAPABILITY: Readonly<Record<string, string>> = {
  GET: 'read',
  POST: 'create and update',
  PUT: 'update',
  DELETE: 'delete',
};

/** 403 says the same for a wrong token, a policy that lacks something, and a path that isn't there. */
export function refused(method: string, path: string): RotorError {
  return new RotorError('store.permission-denied', {
    what: `Vault refuses ${method} ${path}: the policy of Rotor's token needs "${CAPABILITY[method]}" on "${path}"`,
    hint: 'docs/vault.md has the whole policy; `vault token capabilities <token> <path>` shows what it may do.',
  });
}

/**
 * The error for a status that isn't an answer (Vault's page on its HTTP API lists them). Bodies stay out of the
 * message, since they may quote the request.
 */
export function unexpectedStatus(doing: string, { status, headers, body }: HttpAnswer): RotorError {
  if (status === 429) {
    const seconds = Number(headers.get('retry-after'));
    return new RotorError('store.throttled', {
      what: `Vault: ${doing} exceeds a rate limit quota`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    });
  }
  if (status === 404) {
    return new RotorError('store.not-found', {
      what: `Vault has nothing at ${doing}: is the engine mounted there, and the namespace right?`,
      hint: 'Compare `address`, `namespace` and `mount` of the Store with `vault secrets list`.',
    });
  }
  if (status === 413 || /too large|exceeds (maximum|allowed)|entry exceeds/i.test(body)) {
    return new RotorError('store.too-large', {
      what: `Vault: ${doing}: the document is larger than this Vault takes (1 MiB at most, with some storages half of that)`,
    });
  }
  const sealed = status === 503 && /sealed/i.test(body);
  // 412: a standby that hasn't caught up; 472, 473: a secondary or a standby that doesn't forward.
  const waiting = [412, 472, 473, 502, 503, 504].includes(status);
  return new RotorError('store.unavailable', {
    what: `Vault: ${doing} answers ${status}${sealed ? ': it is sealed' : ''}`,
    hint: sealed ? 'Unseal Vault; Rotor goes on by itself.' : "Look into Vault's log at this time.",
    ...(waiting ? {} : { kind: status >= 500 ? 'ambiguous' : 'terminal' }),
  });
}
