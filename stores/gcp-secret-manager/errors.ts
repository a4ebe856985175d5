import { RotorError } from '../../core/errors.ts';
import { unexpectedAnswer, withoutConnection } from '../connection-errors.ts';

/** What was asked of Secret Manager, for messages and to name the permission that is missing. */
export interface Asked {
  /** As IAM names it. */
  readonly permission: string;
  /** Resource name of the secret or version. */
  readonly name: string;
}

const LOOK_AT = 'Look the request up in the audit log of the project.';

/** Codes of gRPC that mean something here; the REST transport carries them too. */
export const CODE = {
  invalid: 3,
  deadline: 4,
  notFound: 5,
  exists: 6,
  denied: 7,
  exhausted: 8,
  precondition: 9,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

interface Failed {
  readonly code?: number | string;
  readonly message?: string;
  readonly statusDetails?: readonly { readonly retryDelay?: { readonly seconds?: number | string } }[];
}

/** The code that Google answered; undefined when it didn't. */
export function codeOf(error: unknown): number | undefined {
  const { code } = (error ?? {}) as Failed;
  return typeof code === 'number' ? code : undefined;
}

/** Whether a conditional change was refused since somebody was faster: the etag is no longer the newest. */
export function isStale(error: unknown): boolean {
  const code = codeOf(error);
  if (code === CODE.aborted) return true;
  return code === CODE.precondition && /etag/i.test((error as Failed).message ?? '');
}

/** What went wrong, in the family. Google's own text goes no further: it may quote what it was given. */
export function secretManagerError(error: unknown, { permission, name }: Asked): RotorError {
  if (error instanceof RotorError) return error;
  const code = codeOf(error);
  const doing = `${name}: ${permission}`;
  if (code === undefined) return withoutConnection(error, doing);
  const said = `${name}: Google Cloud answered ${NAMES[code] ?? code} to ${permission}`;
  switch (code) {
    case CODE.denied:
      return denied(error as Failed, said, permission, name);
    case CODE.exhausted: {
      const seconds = retryDelay(error as Failed);
      return new RotorError('store.throttled', {
        what: said,
        ...(seconds ? { retryAfterMs: seconds * 1_000 } : {}),
      });
    }
    case CODE.notFound:
      return new RotorError('store.not-found', {
        what: said,
        hint: 'Create the secret, or set `create: true` in the Store; check `project` and `location`.',
      });
    case CODE.unauthenticated:
      return new RotorError('store.refused', { what: said });
    case CODE.aborted:
      return new RotorError('store.conflict', { what: said, kind: 'retryable' });
    case CODE.precondition:
      return new RotorError('store.conflict', {
        what: said,
        hint: 'Look at the state of the named secret: versions may be disabled or destroyed, or its CMEK key unusable.',
      });
    case CODE.deadline:
    case CODE.internal:
    case CODE.unavailable:
      return unexpectedAnswer(said, true, LOOK_AT);
    default:
      return unexpectedAnswer(said, false, LOOK_AT);
  }
}

/** Nothing was sent: there is nothing to send it with. */
export function withoutCredentials(error: unknown): RotorError {
  return new RotorError('store.refused', {
    what: 'Secret Manager: the workers have no credentials of Google Cloud',
    hint: 'Give the workers a service account (Workload Identity), or name a file in GOOGLE_APPLICATION_CREDENTIALS.',
    // The service that hands them out may be away for a moment.
    kind: 'retryable',
    cause: error,
  });
}

export function lacking(permissions: readonly string[], name: string): RotorError {
  return new RotorError('store.permission-denied', {
    what: `${name}: the workers lack ${permissions.join(', ')}`,
    hint: `Grant ${permissions.join(', ')} on it; docs/google-cloud.md has the roles.`,
  });
}

function denied({ message = '' }: Failed, said: string, permission: string, name: string): RotorError {
  const missing = /Permission '([a-z]+\.[\w.]+)' denied/.exec(message)?.[1] ?? permission;
  return new RotorError('store.permission-denied', {
    what: `${said}: the workers lack ${missing}`,
    hint: `Grant ${missing} on ${name}; docs/google-cloud.md has the roles.`,
  });
}

function retryDelay({ statusDetails = [] }: Failed): number | undefined {
  const delay = statusDetails.map((detail) => Number(detail.retryDelay?.seconds)).find((each) => each > 0);
  return delay;
}
