import { foreignCode, RotorError } from '../../core/errors.ts';

/** When the trouble came: the same lost connection means "nothing happened" before sending and "who knows" after. */
export type Moment = 'connecting' | 'reading' | 'changing';

/** SQLSTATEs that our own fence raises (rotators/postgres/fence.ts). */
export const TOO_LATE = 'RT001';
export const FENCED = 'RT002';

const UNREACHABLE = /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH)/;
const TLS = /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL|EPROTO)/;

/**
 * Puts a driver's error into the family. The server's own words are kept only where they can't quote a statement
 * (missing rights name objects); SQLSTATE and place are always named.
 * @param doing what was attempted on what, in words
 */
export function postgresError(error: unknown, moment: Moment, doing: string): RotorError {
  if (error instanceof RotorError) return error;
  const code = foreignCode(error) ?? '';
  const message = error instanceof Error ? error.message : '';
  const what = `${doing}: ${words(code, message)}`;
  if (code === TOO_LATE) return new RotorError('lease.expired', { what, cause: error });
  if (code === FENCED) return new RotorError('ledger.fenced', { what, cause: error });
  if (TLS.test(code) || /SSL|certificate/i.test(message))
    return new RotorError('provider.tls', { what, cause: error });
  if (code === '28P01' || code === '28000' || code === '3D000') {
    return new RotorError('provider.refused-admin', { what, cause: error });
  }
  if (code === '42501') return new RotorError('provider.permission-denied', { what, cause: error });
  if (/^(53|55P03|57014|57P03|40)/.test(code) || /tuple concurrently updated/.test(message)) {
    return new RotorError('provider.throttled', { what, cause: error });
  }
  const lost =
    /^(57P0[12]|08|25P03)/.test(code) ||
    UNREACHABLE.test(code) ||
    /terminated|closed|ended|timeout/i.test(message);
  if (lost && moment === 'changing')
    return new RotorError('provider.connection-lost', { what, cause: error });
  if (lost || moment === 'connecting') return new RotorError('provider.unreachable', { what, cause: error });
  if (/^(22023|28)/.test(code)) return new RotorError('provider.rejects-generated', { what, cause: error });
  return new RotorError('provider.unsupported', { what, cause: error });
}

function words(code: string, message: string): string {
  if (code === '42501') return message;
  const known: Readonly<Record<string, string>> = {
    '28P01': 'user name or password refused',
    '28000': 'the login is not allowed',
    '3D000': 'there is no such database',
    '53100': "the server's disk is full",
    '53300': 'the server has no connection left',
    '57P01': 'the server was shut down',
    '57P03': 'the server is starting up or shutting down',
    '55P03': 'somebody else holds the lock',
    [TOO_LATE]: 'it arrived after this worker had to be done',
    [FENCED]: 'a later worker has changed this role already',
  };
  const said = known[code] ?? (UNREACHABLE.test(code) ? 'no connection' : 'refused by the server');
  return code ? `${said} (${code})` : `${said} (connection lost)`;
}
