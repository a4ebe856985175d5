import pg from 'pg';
import { expect, test } from 'vitest';
import { isLoginRefusal, type Moment, postgresError } from './errors.ts';

function fromServer(code: string, message = 'nachricht', extra: object = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, 1, 'error'), { code, severity: 'ERROR', ...extra });
}
function fromNode(code: string, message = 'x'): Error {
  return Object.assign(new Error(message), code ? { code } : {});
}

test.each<[string, Error, Moment, string, string]>([
  ['the port is closed', fromNode('ECONNREFUSED'), 'connecting', 'provider.unreachable', 'retryable'],
  ['the name is unknown', fromNode('ENOTFOUND'), 'connecting', 'provider.unreachable', 'retryable'],
  ['nothing was sent yet', fromNode('ECONNRESET'), 'reading', 'provider.unreachable', 'retryable'],
  [
    'it was sent and the line went dead',
    fromNode('EPIPE'),
    'changing',
    'provider.connection-lost',
    'ambiguous',
  ],
  [
    'it was sent and the driver has no code for it',
    fromNode('', 'Connection terminated unexpectedly'),
    'changing',
    'provider.connection-lost',
    'ambiguous',
  ],
  [
    'the server is shut down meanwhile',
    fromServer('57P01'),
    'changing',
    'provider.connection-lost',
    'ambiguous',
  ],
  [
    'another backend crashed meanwhile',
    fromServer('57P02'),
    'changing',
    'provider.connection-lost',
    'ambiguous',
  ],
  ['the server is starting', fromServer('57P03'), 'connecting', 'provider.throttled', 'retryable'],
  ['no connection is left', fromServer('53300'), 'connecting', 'provider.throttled', 'retryable'],
  ['the disk is full', fromServer('53100'), 'changing', 'provider.throttled', 'retryable'],
  ['somebody holds the lock', fromServer('55P03'), 'changing', 'provider.throttled', 'retryable'],
  ['the role was made by another', fromServer('42710'), 'changing', 'provider.throttled', 'retryable'],
  [
    'two changes met',
    fromServer('XX000', 'tuple concurrently updated'),
    'changing',
    'provider.throttled',
    'retryable',
  ],
  [
    'the server has a bug',
    fromServer('XX000', 'cache lookup failed'),
    'changing',
    'provider.unsupported',
    'terminal',
  ],
  ['it became a replica', fromServer('25006'), 'changing', 'provider.unreachable', 'retryable'],
  ['the admin is refused', fromServer('28P01'), 'connecting', 'provider.refused-admin', 'terminal'],
  ['a password policy refuses', fromServer('22023'), 'changing', 'provider.rejects-generated', 'terminal'],
  [
    'an extension refuses the password',
    fromServer('28000'),
    'changing',
    'provider.rejects-generated',
    'terminal',
  ],
  ['rights are missing', fromServer('42501'), 'changing', 'provider.permission-denied', 'terminal'],
  [
    'the certificate is of another',
    fromNode('ERR_TLS_CERT_ALTNAME_INVALID'),
    'connecting',
    'provider.tls',
    'terminal',
  ],
  [
    'the server has no TLS',
    fromNode('', 'The server does not support SSL connections'),
    'connecting',
    'provider.tls',
    'terminal',
  ],
  [
    'an impostor does not know the verifier',
    fromNode('', 'SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature does not match'),
    'connecting',
    'provider.unsupported',
    'terminal',
  ],
  ['it was late', fromServer('RT001'), 'changing', 'lease.expired', 'retryable'],
  ['it was overtaken', fromServer('RT002'), 'changing', 'ledger.fenced', 'terminal'],
])('%s', (_what, error, moment, code, kind) => {
  expect(postgresError(error, moment, 'doing it')).toMatchObject({ code, kind });
});

test('names that sound like trouble are not taken for it', () => {
  const rejected = fromServer(
    '28000',
    'no pg_hba.conf entry for host "h", user "u", database "d", SSL encryption',
  );
  expect(postgresError(rejected, 'connecting', 'x').code).toBe('provider.refused-admin');
  const gone = fromServer('42704', 'role "extended_timeout_certificate" does not exist');
  expect(postgresError(gone, 'changing', 'x').code).toBe('provider.unsupported');
});

test('missing rights are told with the words of the server, and nothing else is quoted', () => {
  const denied = fromServer('42501', 'permission denied to alter role', {
    detail: 'Only roles with ADMIN may.',
  });
  expect(postgresError(denied, 'changing', 'x').message).toContain('Only roles with ADMIN may.');
  const quoting = fromServer('42601', `syntax error at or near "planted-marker"`);
  expect(postgresError(quoting, 'changing', 'x').message).not.toContain('planted-marker');
});

test('a refused login is known by the code, in whatever language the server speaks', () => {
  expect(isLoginRefusal(fromServer('28P01'))).toBe(true);
  expect(
    isLoginRefusal(fromServer('28000', 'Rolle darf nicht', { routine: 'InitializeSessionUserId' })),
  ).toBe(true);
  expect(
    isLoginRefusal(
      fromServer('28000', 'role "is not permitted to log in"', { routine: 'ClientAuthentication' }),
    ),
  ).toBe(false);
  expect(isLoginRefusal(fromNode('28P01'))).toBe(false);
});
