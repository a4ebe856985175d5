import { readFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Deadline } from '../../core/retry.ts';
import { secretIn } from '../../core/secret-file.ts';
import type { MailTarget } from './runbook-schema.ts';

export interface Mail {
  /** By which a reader knows a repetition: part of its Message-ID. */
  readonly id: string;
  readonly subject: string;
  readonly text: string;
}

/**
 * Sends a mail by SMTP. A password is sent over an encrypted connection only, and without the encryption that is asked for
 * nothing is sent at all.
 * @throws RotorError `provider.unreachable`, `provider.tls`, `provider.refused-admin` when the server refuses the login,
 *   `provider.permission-denied` when it refuses the mail, `call.timeout`
 */
export async function mailTo(deadline: Deadline, target: MailTarget, mail: Mail): Promise<void> {
  const { host, from, to, userFrom, passwordFrom, tls, caFile } = target;
  const port = target.port ?? (tls === 'tls' ? 465 : 587);
  const login =
    userFrom && passwordFrom
      ? {
          user: await secretIn(userFrom.file, 'the secret of a mail'),
          pass: await secretIn(passwordFrom.file, 'the secret of a mail'),
        }
      : undefined;
  const ca = caFile === undefined ? undefined : await authorities(caFile);
  // Whole milliseconds: the resolver takes nothing else.
  const ms = Math.max(1, Math.floor(deadline.remainingMs()));
  const transport = createTransport({
    host,
    port,
    secure: tls === 'tls',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(login ? { auth: { user: login.user.reveal(), pass: login.pass.reveal() } } : {}),
    tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    connectionTimeout: ms,
    greetingTimeout: ms,
    socketTimeout: ms,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    const messageId = `<${mail.id}@${from.split('@')[1] ?? 'rotor'}>`;
    const { subject, text } = mail;
    await deadline.run(`a mail by ${host}`, () =>
      transport.sendMail({
        from,
        to,
        subject,
        text,
        messageId,
        headers: { 'Auto-Submitted': 'auto-generated' },
      }),
    );
  } catch (error) {
    throw inWords(error, `${host}:${port}`);
  } finally {
    transport.close();
  }
}

async function authorities(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `the authorities of a mail server: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
}

const OF_TLS = /certificate|altnames|\bSSL\b|\bTLS\b/i;
const NO_CONNECTION = /^(ECONN|EDNS|ESOCKET|ETIMEDOUT|ENOTFOUND|EAI_)/;

/** nodemailer's codes (lib/errors.js of it); the server's own words are left out, they may quote what they were given. */
function inWords(error: unknown, server: string): RotorError {
  if (error instanceof RotorError) return error;
  const code = foreignCode(error) ?? '';
  const status = (error as { responseCode?: unknown }).responseCode;
  const said = typeof status === 'number' ? ` with ${status}` : '';
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return new RotorError('provider.refused-admin', {
      what: `mail server ${server} refuses the login${said}`,
      hint: 'Check the files of `userFrom` and `passwordFrom`.',
      cause: error,
    });
  // nodemailer puts its own code in the place of Node's: what was wrong is in the words alone.
  if (code === 'ETLS' || (code === 'ESOCKET' && error instanceof Error && OF_TLS.test(error.message)))
    return new RotorError('provider.tls', {
      what: `mail server ${server}: no encrypted connection that can be trusted`,
      hint: 'Check `tls` and `caFile` of the notification.',
      cause: error,
    });
  if (NO_CONNECTION.test(code))
    return new RotorError('provider.unreachable', {
      what: `mail server ${server} can't be reached (${code})`,
      cause: error,
    });
  return new RotorError('provider.permission-denied', {
    what: `mail server ${server} refuses the mail${said}`,
    hint: 'Check `from` and `to` of the notification.',
    cause: error,
  });
}
