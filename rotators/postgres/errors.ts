import pg from 'pg';
import { asRotorError, foreignCode, RotorError } from '../../core/errors.ts';

/** When the trouble came: the same lost connection means "nothing happened" before sending and "who knows" after. */
export type Moment = 'connecting' | 'reading' | 'changing';

/** SQLSTATEs that our own fence raises (rotators/postgres/fence.ts). */
export const TOO_LATE = 'RT001';
export const FENCED = 'RT002';

const TLS = /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL|EPROTO)/;
/** By OpenSSL's code, or the driver's message where there is none: what is wrong, and what to do. */
const TLS_TROUBLE: readonly (readonly [RegExp, string, string])[] = [
  [
    /^ERR_TLS_CERT_ALTNAME/,
    "the server's certificate is for another host name",
    'Name the host in the provider as its certificate does, or give the server a certificate for this name.',
  ],
  [
    /^CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    "the server's certificate has expired, or isn't valid yet",
    'Renew the certificate of the server; if it is valid, set the clock of the worker.',
  ],
  [
    /^(DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE)/,
    "the server's certificate is not from an authority that is trusted here",
    "Name a PEM file with the authority's certificate in `tls.caFile` of the provider.",
  ],
  [
    /does not support SSL/,
    'the server offers no TLS',
    'Turn TLS on at the server (`ssl = on`), or choose another `tls.mode` if nobody can listen in between.',
  ],
];
const NO_CONNECTION = /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES)/;

/**
 * Puts a driver's error into the family. The server's own words are kept only where they can't quote a statement
 * (missing rights name objects); SQLSTATE and place are always named.
 * @param doing what was attempted on what, in words
 */
export function postgresError(error: unknown, moment: Moment, doing: string): RotorError {
  if (error instanceof RotorError) return error;
  return error instanceof pg.DatabaseError
    ? answered(error, moment, doing)
    : unanswered(error, moment, doing);
}

/** The server answered with an error, so a transaction has surely not been committed, except where the server died. */
function answered(error: pg.DatabaseError, moment: Moment, doing: string): RotorError {
  const code = error.code ?? '';
  const details = { what: `${doing}: ${words(error)}`, cause: error };
  if (code === TOO_LATE) return new RotorError('lease.expired', details);
  if (code === FENCED) return new RotorError('ledger.fenced', details);
  // Administrator's shutdown, crash of another backend, idle time-outs: the COMMIT may have been done before.
  if (/^(57P0[125]|08|25P0[34])/.test(code)) {
    return new RotorError(
      moment === 'changing' ? 'provider.connection-lost' : 'provider.unreachable',
      details,
    );
  }
  // Extensions that check passwords raise what they like of these two classes.
  if (moment === 'changing' && /^(22023|28)/.test(code))
    return new RotorError('provider.rejects-generated', details);
  if (/^28|^3D000/.test(code)) return new RotorError('provider.refused-admin', details);
  if (code === '42501') return new RotorError('provider.permission-denied', details);
  // A primary that became a replica, or is held read-only for one: the next look finds the new one.
  if (code === '25006') return new RotorError('provider.unreachable', details);
  if (isPassing(code, error.message)) return new RotorError('provider.throttled', details);
  if (moment === 'connecting') return new RotorError('provider.unreachable', details);
  return new RotorError('provider.unsupported', details);
}

/** Full, busy, locked, cancelled, in recovery, or two changes of one role at the same time: gone in a moment. */
function isPassing(code: string, message: string): boolean {
  if (/^(53|55P03|55006|57014|57P03|40|42710|23505)/.test(code)) return true;
  return code === 'XX000' && /tuple concurrently (updated|deleted)/.test(message);
}

/** No answer from the server: nothing that was on its way can be called undone. */
function unanswered(error: unknown, moment: Moment, doing: string): RotorError {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError)
    return asRotorError(error, doing);
  const code = foreignCode(error) ?? '';
  const message = error instanceof Error ? error.message : '';
  if (TLS.test(code) || /SSL|certificate/i.test(message)) {
    const known = TLS_TROUBLE.find(([pattern]) => pattern.test(code || message));
    return new RotorError('provider.tls', {
      what: `${doing}: ${known?.[1] ?? 'TLS failed'} (${code || 'no TLS'})`,
      ...(known && { hint: known[2] }),
      cause: error,
    });
  }
  if (message.startsWith('SASL')) {
    return new RotorError('provider.unsupported', {
      what: `${doing}: the SCRAM exchange broke off: the server asks for more than 100000 iterations, or it is not the one it claims to be`,
      cause: error,
    });
  }
  const what = `${doing}: ${NO_CONNECTION.test(code) ? `no connection (${code})` : 'the connection was lost'}`;
  return new RotorError(moment === 'changing' ? 'provider.connection-lost' : 'provider.unreachable', {
    what,
    cause: error,
  });
}

const WORDS: Readonly<Record<string, string>> = {
  '25006': 'the server is read-only',
  '28P01': 'user name or password refused',
  '28000': 'the login is not allowed',
  '3D000': 'there is no such database',
  '42704': 'a role that it needs is gone',
  '42710': 'somebody else made the role at the same time',
  '53100': "the server's disk is full",
  '53300': 'the server has no connection left',
  '55P03': 'somebody else holds the lock',
  '57014': 'the server did not get it done in time',
  '57P01': 'the server was shut down',
  '57P03': 'the server is starting up or shutting down',
  XX000: 'somebody else changed the role at the same time',
  [TOO_LATE]: 'it arrived after this worker had to be done',
  [FENCED]: 'a later worker has changed this role already',
};

function words({ code = '', message, detail }: pg.DatabaseError): string {
  if (code === '42501') return [message, detail].filter(Boolean).join('. ');
  if (code === 'XX000' && !isPassing(code, message)) return `refused by the server (${code})`;
  return `${WORDS[code] ?? 'refused by the server'} (${code})`;
}

/** pg_hba.conf has no line that lets this login in. */
export function isRejectedByHba(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError && error.code === '28000' && error.routine === 'ClientAuthentication'
  );
}

/**
 * Refusals of the login itself: a wrong or missing password, a locked role, no such role. Not a rejection by pg_hba.conf,
 * which says nothing of the password. The server's function is asked, for its words come in the server's language.
 */
export function isLoginRefusal(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  return error.code === '28P01' || (error.code === '28000' && error.routine === 'InitializeSessionUserId');
}
