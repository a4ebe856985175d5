import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chown, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { inspect, promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { postgresRotator } from '../../rotators/postgres/rotator.ts';
import type { RotatorSession } from '../../rotators/rotator.ts';
import { aCall } from '../setup/call.ts';
import { anApplication } from '../setup/postgres-roles.ts';
import {
  connected,
  findPostgres,
  SUPERUSER,
  serverFolder,
  startPostgres,
  type TestServer,
  unprivileged,
} from '../setup/postgres-servers.ts';

const exec = promisify(execFile);
const { bin, skipped } = findPostgres(18);

// 0.0.0.0 leads to this machine, but isn't one of the names by which Rotor knows it: to Rotor it is a foreign host.
const FOREIGN = '0.0.0.0';
/** Certificates by name: the addresses they are for. */
const CERTIFICATES = {
  named: 'DNS:localhost',
  numbered: `IP:127.0.0.1,IP:${FOREIGN}`,
  outdated: 'DNS:localhost',
} as const;

describe.skipIf(skipped)(`PostgreSQL that lets in by TLS only${skipped}`, () => {
  /** What the tests read: authorities and the admin's password. */
  let folder: string;
  /** What the server reads: its own certificate and key. */
  let own: string;
  let server: TestServer;
  let turn = 0;
  let current: Credential;
  let spec: object;
  const sessions: RotatorSession[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-tls-'));
    own = await serverFolder();
    await writeFile(join(folder, 'admin'), 'admin-password', { mode: 0o600 });
    await writeFile(join(folder, 'no-pem'), 'nothing of the kind\n');
    await writeFile(join(folder, 'empty'), '');
    // Another authority of the very same name, as after a reinstallation of the first.
    for (const authority of ['ca', 'other-ca']) await makeAuthority(authority);
    for (const [name, addresses] of Object.entries(CERTIFICATES)) await makeCertificate(name, addresses);
    await present('named', false);
    server = await startPostgres(bin, {
      conf: ['ssl = on', `ssl_cert_file = '${own}/certificate'`, `ssl_key_file = '${own}/key'`],
      hba: [
        'host all postgres 127.0.0.1/32 scram-sha-256',
        'hostssl all +asked_in_plain 127.0.0.1/32 password',
        'hostssl all all 127.0.0.1/32 scram-sha-256',
      ],
    });
    await server.sql(`
      CREATE ROLE asked_in_plain NOLOGIN;
      CREATE ROLE rotor LOGIN CREATEROLE PASSWORD 'admin-password';
      GRANT pg_signal_backend, pg_read_all_stats TO rotor`);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
  });
  afterAll(async () => {
    await server.stop();
    for (const each of [folder, own]) await rm(each, { recursive: true, force: true });
  });

  const openssl = (...args: string[]) => exec('openssl', args, { cwd: folder });

  async function makeAuthority(name: string): Promise<void> {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    await openssl('req', '-x509', ...key, '-subj', '/CN=Our authority', '-days', '2', '-out', `${name}.pem`);
  }

  async function makeCertificate(name: string, addresses: string): Promise<void> {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    await openssl('req', ...key, '-subj', '/CN=database', '-out', `${name}.csr`);
    await writeFile(join(folder, `${name}.ext`), `subjectAltName = ${addresses}\n`);
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    const days = name === 'outdated' ? '-1' : '2';
    await openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-days', days, '-out', `${name}.pem`);
  }

  /** Has the server show this certificate from now on. */
  async function present(name: keyof typeof CERTIFICATES, running = true): Promise<void> {
    const identity = await unprivileged();
    for (const [from, to] of [
      [`${name}.pem`, 'certificate'],
      [`${name}.key`, 'key'],
    ] as const) {
      await copyFile(join(folder, from), join(own, to));
      if (identity) await chown(join(own, to), identity.uid, identity.gid);
    }
    if (!running) return;
    await server.sql('SELECT pg_reload_conf()');
    const { fingerprint256 } = new X509Certificate(await readFile(join(folder, `${name}.pem`)));
    await expect.poll(shown, { timeout: 20_000 }).toBe(fingerprint256);
  }

  /** Which certificate the server shows now. */
  async function shown(): Promise<string> {
    const ssl = { rejectUnauthorized: false };
    const client = await connected({ port: server.port, database: 'postgres', ...SUPERUSER, ssl });
    const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
    const { fingerprint256 } = stream.getPeerCertificate();
    await client.end();
    return fingerprint256;
  }

  async function anApp(inRole?: string): Promise<void> {
    turn += 1;
    const [blue, green, owner] = [`app${turn}_blue`, `app${turn}_green`, `app${turn}_owner`];
    await server.sql(`
      CREATE ROLE ${owner} NOLOGIN;
      CREATE ROLE ${blue} LOGIN PASSWORD 'first-password' IN ROLE ${owner};
      ALTER ROLE ${blue} SET role = ${owner};
      GRANT ${blue}, ${owner} TO rotor WITH ADMIN OPTION`);
    if (inRole) await server.sql(`GRANT ${inRole} TO ${blue}`);
    current = {
      versionId: 'v0',
      identity: blue,
      fields: {},
      secrets: { password: SecretValue.of('first-password') },
    };
    spec = { mode: 'alternating-users', roles: [blue, green], owner };
  }

  function open(host: string, tls: object = {}): RotatorSession {
    const provider = postgresRotator.provider?.parse({
      hosts: [{ host, port: server.port }],
      database: 'postgres',
      tls,
      admin: { username: 'rotor', passwordFrom: { file: join(folder, 'admin') } },
    });
    const session = postgresRotator.open(provider, postgresRotator.credential.parse(spec));
    sessions.push(session);
    return session;
  }
  const file = (name: string) => join(folder, name);

  async function aWholeTurn(session: RotatorSession): Promise<void> {
    await session.plan(aCall(), current);
    const pending = await session.generate(aCall(), 'v1', current);
    await session.install(aCall(), pending, current);
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
    await session.revoke(aCall(), current, pending, new Date());
    expect(await session.attempt(aCall(), current)).toBe('refused');
    expect(await session.attempt(aCall(), pending)).toBe('accepted');
  }

  /** Admin and credential are refused alike, in one line that says what to do and holds no password. */
  async function refusal(session: RotatorSession): Promise<RotorError> {
    const errors: RotorError[] = [];
    for (const work of [() => session.usage(aCall(), current, new Date()), () => attemptOf(session)]) {
      const error = await work().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RotorError);
      errors.push(error as RotorError);
    }
    const [first, second] = errors.map((error) => {
      const { code, what, hint } = error.toJSON();
      expect(what).not.toContain('\n');
      for (const secret of ['admin-password', 'first-password'])
        expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain(secret);
      return { code, kind: error.kind, hint };
    });
    expect(first).toEqual(second);
    return errors[0] as RotorError;
  }
  const attemptOf = (session: RotatorSession) => session.attempt(aCall(), current);

  test.each([
    ['localhost', 'named'],
    ['127.0.0.1', 'numbered'],
    [FOREIGN, 'numbered'],
  ] as const)('verify-full: %s is spoken to when its certificate is for it', async (host, certificate) => {
    await anApp();
    await present(certificate);
    await aWholeTurn(open(host, { mode: 'verify-full', caFile: file('ca.pem') }));
  });

  test('where an authority is named, verify-full needs no naming, on this machine either', async () => {
    await anApp();
    await present('named');
    await aWholeTurn(open('localhost', { caFile: file('ca.pem') }));
  });

  test.each([
    ['127.0.0.1', 'named'],
    ['localhost', 'numbered'],
  ] as const)(
    'verify-full: %s with the certificate of another name is refused',
    async (host, certificate) => {
      await anApp();
      await present(certificate);
      expect(await refusal(open(host, { caFile: file('ca.pem') }))).toMatchObject({
        code: 'provider.tls',
        kind: 'terminal',
        message: expect.stringContaining("the server's certificate is for another host name"),
        hint: expect.stringContaining('Name the host in the provider as its certificate does'),
      });
    },
  );

  test.each([
    ['an authority of the same name with another key', 'localhost', 'named', 'other-ca.pem'],
    ['none but those of the machine', FOREIGN, 'numbered', undefined],
  ] as const)('a certificate is refused where %s is trusted', async (_which, host, certificate, ca) => {
    await anApp();
    await present(certificate);
    expect(await refusal(open(host, ca ? { caFile: file(ca) } : {}))).toMatchObject({
      code: 'provider.tls',
      kind: 'terminal',
      message: expect.stringContaining('not from an authority that is trusted here'),
      hint: expect.stringContaining('`tls.caFile`'),
    });
  });

  test('an outdated certificate is refused', async () => {
    await anApp();
    await present('outdated');
    expect(await refusal(open('localhost', { caFile: file('ca.pem') }))).toMatchObject({
      code: 'provider.tls',
      kind: 'terminal',
      message: expect.stringContaining('has expired'),
      hint: expect.stringContaining('Renew'),
    });
  });

  test.each(['no-pem', 'empty', 'absent'])(
    'an authority file that is %s is refused before anything is sent',
    async (name) => {
      await anApp();
      expect(await refusal(open('localhost', { caFile: file(name) }))).toMatchObject({
        code: 'reference.unresolved',
        message: expect.stringContaining(`tls.caFile: ${file(name)}`),
      });
    },
  );

  test('require: any certificate will do, and the password is only sent as a proof', async () => {
    await anApp();
    await present('outdated');
    await aWholeTurn(open(FOREIGN, { mode: 'require' }));
  });

  test('asked for the password itself, it is told to a server that showed who it is, and to no other', async () => {
    await anApp('asked_in_plain');
    await present('numbered');
    const attempt = (tls: object) => open(FOREIGN, tls).attempt(aCall(), current);
    expect(await attempt({ caFile: file('ca.pem') })).toBe('accepted');
    await expect(attempt({ mode: 'require' })).rejects.toMatchObject({
      code: 'provider.unsupported',
      message: expect.stringContaining('plain text'),
      hint: expect.stringContaining('verify-full'),
    });
  });

  test('without TLS, pg_hba.conf refuses, and the error says that TLS is what may be missing', async () => {
    await anApp();
    for (const tls of [{}, { mode: 'disable' }]) {
      expect(await refusal(open('localhost', tls))).toMatchObject({
        code: 'provider.tls',
        kind: 'terminal',
        message: expect.stringContaining('pg_hba.conf does not let this login in without TLS'),
        hint: expect.stringContaining('`tls.mode: verify-full`'),
      });
    }
  });

  test('a server that offers no TLS is refused, not spoken to in plain', async () => {
    const app = await anApplication();
    for (const mode of ['verify-full', 'require']) {
      const provider = postgresRotator.provider?.parse(app.provider({ tls: { mode } }));
      const mine = { mode: 'alternating-users', roles: app.roles, owner: app.owner };
      const session = postgresRotator.open(provider, postgresRotator.credential.parse(mine));
      sessions.push(session);
      expect(await refusal(session)).toMatchObject({
        code: 'provider.tls',
        kind: 'terminal',
        message: expect.stringContaining('the server offers no TLS'),
        hint: expect.stringContaining('ssl = on'),
      });
    }
    await app.drop();
  });
});
