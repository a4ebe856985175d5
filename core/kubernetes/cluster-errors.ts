import { asRotorError, foreignCode, RotorError } from '../errors.ts';
import { jsonIn } from '../json.ts';

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

/** As the API server forms it for the kinds we touch: `deployments`, `networkpolicies`, `ingresses`. */
export function pluralOf(kind: string): string {
  const singular = kind.toLowerCase();
  if (/(s|x|ch|sh)$/.test(singular)) return `${singular}es`;
  return /[^aeiou]y$/.test(singular) ? `${singular.slice(0, -1)}ies` : `${singular}s`;
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
  const { verb, namespace, cluster } = asked;
  const object = objectOf(asked);
  const at = `cluster ${cluster}`;
  const { reason, message, causes, missing, waitSeconds } = statusOf(body);
  const fields = causes.map(({ field, why }) => `${field} (${why})`).join(', ');
  switch (code) {
    case 401:
      return new RotorError('cluster.refused', {
        what: `${at} does not know who we are (401 to ${verb} ${object})`,
      });
    case 403: {
      // Who may create may not either where the namespace is on its way out: no permission would help.
      if (causes.some(({ why }) => why === 'NamespaceTerminating') || message.includes('is being terminated'))
        return new RotorError('cluster.not-found', {
          what: `${at}: namespace ${namespace} is being deleted, so that nobody may ${verb} ${object} in it`,
        });
      const user = /User "([^"]{1,200})"/.exec(message)?.[1];
      return admissionRefusal(message, asked) ?? forbidden(asked, user);
    }
    case 404:
      if (missing === `namespaces ${namespace}`)
        return new RotorError('cluster.not-found', {
          what: `${at} has no namespace ${namespace} to ${verb} ${object} in`,
          hint: 'Create the namespace, or correct its name in the policy.',
        });
      return new RotorError('cluster.not-found', { what: `${at} has no ${object} to ${verb}` });
    case 409:
      return new RotorError('cluster.conflict', {
        what: `${at} refuses to ${verb} ${object}: somebody else changed it meanwhile (${managersOf(message) ?? reason})`,
      });
    case 410:
      return new RotorError('cluster.unavailable', {
        what: `${at} refuses to ${verb} ${object}: the version that was asked for has expired (410)`,
      });
    case 422:
    case 400:
      return (
        admissionRefusal(message, asked) ??
        new RotorError('cluster.invalid', {
          what: `${at} refuses to ${verb} ${object} as invalid: ${fields || reason}`,
        })
      );
    // What the server can't do with such a request today it can't tomorrow either.
    case 405:
    case 406:
    case 413:
    case 415:
      return new RotorError('cluster.invalid', {
        what: `${at} refuses to ${verb} ${object} (${code}): ${REFUSALS[code]}`,
      });
    case 429:
      return new RotorError('cluster.throttled', {
        what: `${at} is too busy to ${verb} ${object} (429)`,
        ...waiting(headers, waitSeconds),
      });
    default: {
      const webhook = /failed calling webhook "([\w.-]{1,253})"/.exec(message)?.[1];
      return new RotorError('cluster.unavailable', {
        what: `${at} answers ${code} to ${verb} ${object}${webhook === undefined ? '' : `: it failed to ask the admission webhook "${webhook}"`}`,
        // 503 is said before anything is done; after other failures of a write nobody knows.
        kind: changes(verb) && code !== 503 ? 'ambiguous' : 'retryable',
        ...waiting(headers, waitSeconds),
      });
    }
  }
}

/** No right would help against these. Their own words may quote what they were asked about: only names are told. */
function admissionRefusal(message: string, asked: Asked): RotorError | undefined {
  const { verb, namespace, cluster } = asked;
  const webhook = /admission webhook "([\w.-]{1,253})" denied/.exec(message)?.[1];
  const policy = /ValidatingAdmissionPolicy '([\w.-]{1,253})'/.exec(message)?.[1];
  const quota = /exceeded quota: ([\w.-]{1,253})/.exec(message)?.[1];
  const refuser =
    (webhook && `the admission webhook "${webhook}"`) ??
    (policy && `the ValidatingAdmissionPolicy "${policy}"`) ??
    (quota && `the ResourceQuota ${namespace}/${quota}`);
  if (refuser === undefined) return undefined;
  return new RotorError('cluster.forbidden', {
    what: `cluster ${cluster}: ${refuser} refuses to ${verb} ${objectOf(asked)}`,
    hint: quota
      ? `Raise what ${refuser} allows, or remove what nothing uses.`
      : `Ask those who run ${refuser} to let it through, or deliver what it wants (labels, annotations, type).`,
  });
}

const REFUSALS: Readonly<Record<number, string>> = {
  405: 'it does not allow that verb on this kind',
  406: 'it answers in no form that we know',
  413: 'the object is too large',
  415: 'it does not know this kind of patch',
};

/** Nobody has to be waited for longer than that: who asks for more is no API server. */
const LONGEST_WAIT_S = 3_600;

/** An API server asks for patience by header and in the Status, also when it begins, ends, or lost its etcd (500, 503, 504). */
function waiting(
  headers: Answer['headers'],
  inStatus: number | undefined,
): { readonly retryAfterMs?: number } {
  const header = headers?.['retry-after'];
  const seconds = header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) : inStatus;
  if (seconds === undefined || !(seconds >= 0)) return {};
  return { retryAfterMs: Math.min(seconds, LONGEST_WAIT_S) * 1_000 };
}

/** The missing verb and the object, whether a request was refused or we asked beforehand. */
export function forbidden(asked: Asked, user = 'the user of the kubeconfig'): RotorError {
  const { verb, apiVersion, kind, namespace, cluster, subresource } = asked;
  const group = apiVersion.includes('/') ? ` of ${apiVersion.split('/')[0]}` : '';
  const resource = `${pluralOf(kind)}${subresource ? `/${subresource}` : ''}`;
  return new RotorError('cluster.forbidden', {
    what: `cluster ${cluster}: ${user} may not ${verb} ${objectOf(asked)}`,
    hint: `Grant ${user} the verb "${verb}" on ${resource}${group} in namespace ${namespace}.`,
  });
}

function unanswered(error: unknown, asked: Asked): RotorError {
  const { verb, cluster } = asked;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = foreignCode(error) ?? foreignCode(cause) ?? '';
  const object = objectOf(asked);
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(code))
    return new RotorError('cluster.refused', {
      what: `cluster ${cluster}: its certificate ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'} (${code})`,
      hint: 'Renew the certificate of the API server, or set the clock of the machine that the workers run on.',
    });
  if (TLS.test(code)) {
    return new RotorError('cluster.refused', {
      what: `cluster ${cluster}: its certificate is not trusted (${code})`,
      hint: 'Correct certificate-authority in the kubeconfig.',
    });
  }
  if (UNREACHABLE.test(code))
    return new RotorError('cluster.unavailable', {
      what: `cluster ${cluster} can't be reached to ${verb} ${object} (${code})`,
    });
  // The client's own words for a kind that the server's discovery doesn't have.
  if (error instanceof Error && error.message.startsWith('Unrecognized API version and kind'))
    return new RotorError('cluster.not-found', {
      what: `cluster ${cluster} knows no ${asked.kind} (${verb} ${object})`,
      hint: 'Install its CustomResourceDefinition, or do without that kind.',
    });
  // undici says only this when a connection ends in the middle; anything else is a mistake of ours.
  const broke =
    code !== '' || (error instanceof Error && /fetch failed|terminated|aborted/.test(error.message));
  if (!broke) return asRotorError(error, `${verb} ${object} in cluster ${cluster}`);
  return new RotorError('cluster.unavailable', {
    what: `cluster ${cluster}: the connection broke on ${verb} ${object}${code ? ` (${code})` : ''}`,
    kind: changes(verb) ? 'ambiguous' : 'retryable',
    cause: error,
  });
}

function changes(verb: Asked['verb']): boolean {
  return verb !== 'get' && verb !== 'list' && verb !== 'watch';
}

/** `deployment shop/web`; an object of no namespace by its kind alone when it has no name either. */
function objectOf({ kind, namespace, name }: Asked): string {
  return [kind.toLowerCase(), [namespace, name].filter((part) => part !== '').join('/')]
    .filter((part) => part !== '')
    .join(' ');
}

function isAnswer(error: unknown): error is Answer {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number';
}

interface Cause {
  readonly field: string;
  readonly why: string;
}

interface StatusFacts {
  readonly reason: string;
  readonly message: string;
  readonly causes: readonly Cause[];
  /** `namespaces shop`: what a 404 is about. */
  readonly missing: string;
  readonly waitSeconds: number | undefined;
}

/** The Status object of an answer. Field paths of `causes` are names only; their messages may quote values. */
function statusOf(body: unknown): StatusFacts {
  const status = typeof body === 'string' ? jsonIn(body) : body;
  const { reason, message, details } = (status ?? {}) as {
    reason?: string;
    message?: string;
    details?: {
      kind?: string;
      name?: string;
      retryAfterSeconds?: number;
      causes?: { field?: string; reason?: string }[];
    };
  };
  const causes = (details?.causes ?? []).map(({ field = '?', reason: why = '?' }) => ({ field, why }));
  return {
    reason: reason ?? 'no reason given',
    message: message ?? '',
    causes,
    missing: `${details?.kind} ${details?.name}`,
    waitSeconds: details?.retryAfterSeconds,
  };
}

/** `Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.password`: who, and which field names. */
function managersOf(message: string): string | undefined {
  const managers = [...message.matchAll(/conflicts? with "([\w.-]{1,100})"/g)].map((match) => match[1]);
  return managers.length > 0 ? `fields are set by ${[...new Set(managers)].join(', ')}` : undefined;
}
