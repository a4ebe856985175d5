import { asRotorError, foreignCode, RotorError } from '../../core/errors.ts';

/** What was asked of the API server. */
export interface Asked {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete';
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly cluster: string;
  readonly subresource?: 'status';
}

interface Answer {
  readonly code: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const UNREACHABLE = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/;
const TLS = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_SSL|^ERR_TLS/;

/**
 * Turns what the client throws into the family. An ApiException's message quotes the whole body, which may be a Secret:
 * only code, reason and the names that we asked for get into ours.
 */
export function clusterError(error: unknown, asked: Asked): RotorError {
  if (error instanceof RotorError) return error;
  return isAnswer(error) ? refused(error, asked) : unanswered(error, asked);
}

function refused({ code, body, headers }: Answer, asked: Asked): RotorError {
  const { verb, kind, namespace, name, cluster } = asked;
  const object = `${kind.toLowerCase()} ${namespace}${name ? `/${name}` : ''}`;
  const at = `cluster ${cluster}`;
  const { reason, message, causes } = statusOf(body);
  const changes = verb !== 'get' && verb !== 'list' && verb !== 'watch';
  switch (code) {
    case 401:
      return new RotorError('cluster.refused', { what: `${at} does not know who we are (401)` });
    case 403: {
      const user = /User "([^"]{1,200})"/.exec(message)?.[1];
      const who = user ?? 'the user of the kubeconfig';
      return new RotorError('cluster.forbidden', {
        what: `${at}: ${who} may not ${verb} ${object}`,
        hint: `Grant ${who} the verb "${verb}" on ${pluralOf(kind)}${asked.subresource ? `/${asked.subresource}` : ''}${asked.apiVersion.includes('/') ? ` of ${asked.apiVersion.split('/')[0]}` : ''} in namespace ${namespace}.`,
      });
    }
    case 404:
      return new RotorError('cluster.not-found', { what: `${at} has no ${object}` });
    case 409:
      return new RotorError('cluster.conflict', {
        what: `${at}: ${object} was changed by somebody else meanwhile (${managersOf(message) ?? reason})`,
      });
    case 410:
      return new RotorError('cluster.unavailable', {
        what: `${at}: what was asked of ${object} has expired (410)`,
      });
    case 422:
    case 400:
      return new RotorError('cluster.invalid', {
        what: `${at} refuses ${object} as invalid: ${causes.length > 0 ? causes.join(', ') : reason}`,
      });
    case 429: {
      const seconds = Number(headers?.['retry-after']);
      return new RotorError('cluster.throttled', {
        what: `${at} is too busy to ${verb} ${object} (429)`,
        ...(Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1_000 } : {}),
      });
    }
    default:
      return new RotorError('cluster.unavailable', {
        what: `${at} answers ${code} to ${verb} ${object}`,
        // 503 is said before anything is done; after other failures of a write nobody knows.
        kind: changes && code !== 503 ? 'ambiguous' : 'retryable',
      });
  }
}

/** As roles name it: `rotationpolicies`. Kinds whose plural is another word are none of those that we write. */
function pluralOf(kind: string): string {
  const name = kind.toLowerCase();
  return name.endsWith('y') ? `${name.slice(0, -1)}ies` : `${name}s`;
}

function unanswered(error: unknown, { verb, kind, namespace, name, cluster }: Asked): RotorError {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = foreignCode(error) ?? foreignCode(cause) ?? '';
  const object = `${kind.toLowerCase()} ${namespace}${name ? `/${name}` : ''}`;
  if (TLS.test(code)) {
    return new RotorError('cluster.refused', {
      what: `cluster ${cluster}: its certificate is not trusted (${code})`,
      hint: 'Correct certificate-authority in the kubeconfig.',
    });
  }
  if (UNREACHABLE.test(code))
    return new RotorError('cluster.unavailable', { what: `cluster ${cluster} can't be reached (${code})` });
  // undici says only this when a connection ends in the middle; anything else is a mistake of ours.
  const broke =
    code !== '' || (error instanceof Error && /fetch failed|terminated|aborted/.test(error.message));
  if (!broke) return asRotorError(error, `${verb} ${object} in cluster ${cluster}`);
  return new RotorError('cluster.unavailable', {
    what: `cluster ${cluster}: the connection broke on ${verb} ${object}${code ? ` (${code})` : ''}`,
    kind: verb === 'get' || verb === 'list' || verb === 'watch' ? 'retryable' : 'ambiguous',
    cause: error,
  });
}

function isAnswer(error: unknown): error is Answer {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number';
}

/** The Status object of an answer. Field paths of `causes` are names only; their messages may quote values. */
function statusOf(body: unknown): { reason: string; message: string; causes: readonly string[] } {
  let status = body;
  if (typeof body === 'string') {
    try {
      status = JSON.parse(body);
    } catch {
      status = {};
    }
  }
  const { reason, message, details } = (status ?? {}) as {
    reason?: string;
    message?: string;
    details?: { causes?: { field?: string; reason?: string }[] };
  };
  const causes = (details?.causes ?? []).map(({ field, reason: why }) => `${field ?? '?'} (${why ?? '?'})`);
  return { reason: reason ?? 'no reason given', message: message ?? '', causes };
}

/** `Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.password`: who, and which field names. */
function managersOf(message: string): string | undefined {
  const managers = [...message.matchAll(/conflicts? with "([\w.-]{1,100})"/g)].map((match) => match[1]);
  return managers.length > 0 ? `fields are set by ${[...new Set(managers)].join(', ')}` : undefined;
}
