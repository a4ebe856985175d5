/** Mail, by a real SMTP server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { makeCertificates } from '../../sandbox/api/certificates.ts';
import { mailTo } from './mail.ts';
import type { MailTarget } from './runbook-schema.ts';

const certificates = await makeCertificates();
const PASSWORD = 'correct horse battery';

let folder: string;
let server: SMTPServer | undefined;
let mails: { from: string; to: string[]; text: string; secure: boolean; user: unknown }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-mail-'));
  await writeFile(join(folder, 'ca'), certificates.caCertificate);
  await writeFile(join(folder, 'user'), 'rotor\n');
  await writeFile(join(folder, 'password'), `${PASSWORD}\n`);
  mails = [];
});
afterEach(async () => {
  await new Promise<void>((resolve) => (server ? server.close(resolve) : resolve()));
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** Starts a server. @returns where a mail goes to */
async function serving(options: SMTPServerOptions, more: Partial<MailTarget> = {}): Promise<MailTarget> {
  const started = new SMTPServer({
    key: certificates.key,
    cert: certificates.certificate,
    authOptional: true,
    logger: false,
    onAuth: ({ username, password }, _session, done) =>
      username === 'rotor' && password === PASSWORD
        ? done(null, { user: username })
        : done(new Error('no such user or password')),
    onData: (stream, session, done) => {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text,
          secure: session.secure,
          user: session.user,
        });
        done();
      });
    },
    ...options,
  });
  server = started;
  // A client that hangs up in the middle is what some of these tests are about.
  started.on('error', () => undefined);
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', () => resolve()));
  const address = started.server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    host: 'localhost',
    port,
    from: 'rotor@example.com',
    to: ['oncall@example.com', 'lead@example.com'],
    tls: 'starttls',
    caFile: join(folder, 'ca'),
    ...more,
  };
}

const login = () => ({
  userFrom: { file: join(folder, 'user') },
  passwordFrom: { file: join(folder, 'password') },
});
const mail = { id: 'b7b2', subject: 'Rotor, shop/orders: opened', text: 'it has leaked: ünïcode' };
const send = (target: MailTarget, ms = 10_000) => mailTo(Deadline.after(ms), target, mail);

/** What goes wrong. Nothing of it may hold the password. */
async function failure(work: Promise<void>): Promise<RotorError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RotorError);
  expect(JSON.stringify(error)).not.toContain(PASSWORD);
  return error as RotorError;
}

test.each(['starttls', 'tls'] as const)('by %s: encrypted, logged in, one mail with its id', async (tls) => {
  await send(await serving({ secure: tls === 'tls' }, { tls, ...login() }));
  expect(mails).toMatchObject([
    {
      from: 'rotor@example.com',
      to: ['oncall@example.com', 'lead@example.com'],
      secure: true,
      user: 'rotor',
    },
  ]);
  const [{ text = '' } = {}] = mails;
  expect(text).toContain('Message-ID: <b7b2@example.com>');
  expect(text).toContain('Subject: Rotor, shop/orders: opened');
  expect(text).toContain('Auto-Submitted: auto-generated');
});

test('without encryption only where the runbook says so', async () => {
  await send(await serving({ disabledCommands: ['STARTTLS'] }, { tls: 'none' }));
  expect(mails).toMatchObject([{ secure: false }]);
});

test('a server that offers no encryption gets nothing', async () => {
  const error = await failure(send(await serving({ disabledCommands: ['STARTTLS'] }, login())));
  expect(error.code).toBe('provider.tls');
  expect(mails).toEqual([]);
});

test.each(['starttls', 'tls'] as const)(
  'by %s: a certificate that nobody vouches for gets nothing',
  async (tls) => {
    const target = await serving({ secure: tls === 'tls' }, { tls, ...login(), caFile: undefined });
    const error = await failure(send(target));
    expect(error).toMatchObject({ code: 'provider.tls', kind: 'terminal' });
    expect(mails).toEqual([]);
  },
);

test('a wrong password is said in words', async () => {
  await writeFile(join(folder, 'password'), 'wrong');
  const error = await failure(send(await serving({}, login())));
  expect(error.code).toBe('provider.refused-admin');
  expect(error.message).toMatch(/^mail server localhost:\d+ refuses the login with 535$/);
});

test('a refused recipient is said in words, without those of the server', async () => {
  const onRcptTo: SMTPServerOptions['onRcptTo'] = (_address, _session, done) =>
    done(Object.assign(new Error('secret words'), { responseCode: 550 }));
  const error = await failure(send(await serving({ onRcptTo })));
  expect(error.message).toMatch(/^mail server localhost:\d+ refuses the mail with 550$/);
  expect(mails).toEqual([]);
});

test('nobody there, or nobody who answers: it can be tried again', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const target = await serving({}, { port });
  expect((await failure(send(target, 300))).code).toMatch(/^(provider\.unreachable|call\.timeout)$/);
  await new Promise((resolve) => silent.close(resolve));
  expect(await failure(send(target))).toMatchObject({ code: 'provider.unreachable', kind: 'retryable' });
});

test('a file that is not there is named', async () => {
  const target = await serving({}, { ...login(), passwordFrom: { file: join(folder, 'none') } });
  expect((await failure(send(target))).message).toContain("none can't be read (ENOENT)");
});
