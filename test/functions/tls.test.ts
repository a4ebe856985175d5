import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { parseDatabaseSecret } from '../../functions/postgres/secret.ts';
import { transportsFor, tryLogin } from '../../functions/postgres/transport.ts';
import { makeCertificates } from '../../sandbox/api/certificates.ts';
import { aCall } from '../setup/call.ts';
import {
  findPostgres,
  SUPERUSER,
  serverFolder,
  startPostgres,
  type TestServer,
  unprivileged,
} from '../setup/postgres-servers.ts';

const { bin, skipped } = findPostgres(18);
const SUPERUSER_LOGIN = { username: SUPERUSER.user, password: SUPERUSER.password };

describe.skipIf(skipped)(
  `the field ssl, at a server with a certificate of its own authority${skipped}`,
  () => {
    let folder: string;
    let own: string;
    let server: TestServer;
    let caFile: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'rotor-functions-tls-'));
      own = await serverFolder();
      const { key, certificate, caCertificate } = await makeCertificates();
      caFile = join(folder, 'ca.pem');
      await writeFile(caFile, caCertificate);
      const identity = await unprivileged();
      for (const [name, text] of [
        ['key', key],
        ['certificate', certificate],
      ] as const) {
        await writeFile(join(own, name), text, { mode: 0o600 });
        if (identity) await chown(join(own, name), identity.uid, identity.gid);
      }
      server = await startPostgres(bin, {
        conf: ['ssl = on', `ssl_cert_file = '${own}/certificate'`, `ssl_key_file = '${own}/key'`],
        hba: ['hostssl postgres all all scram-sha-256', 'hostnossl postgres postgres all scram-sha-256'],
      });
      await server.sql("CREATE ROLE only_tls LOGIN PASSWORD 'its-password'");
    });
    afterAll(async () => {
      await server?.stop();
      for (const each of [folder, own]) await rm(each, { recursive: true, force: true });
    });

    const login = async (
      ssl: unknown,
      authority?: string,
      who: { username: string; password: string } = SUPERUSER_LOGIN,
    ) => {
      const document = {
        engine: 'postgres',
        host: 'localhost',
        port: server.port,
        ...who,
        ...(ssl === undefined ? {} : { ssl }),
      };
      const secret = parseDatabaseSecret(SecretValue.of(JSON.stringify(document)), 'the secret');
      return tryLogin(aCall(), secret, secret.credential, transportsFor(secret, authority));
    };

    test('with the authority TLS is used, and checked', async () => {
      for (const ssl of [true, 'TRUE', undefined])
        expect(await login(ssl, caFile)).toEqual({
          tls: { mode: 'verify-full', caFile },
          verdict: 'accepted',
        });
    });

    test('without it "true" gives up, no word goes on in plain as AWS does, and false never tries', async () => {
      await expect(login(true)).rejects.toMatchObject({ code: 'provider.tls' });
      for (const ssl of [undefined, 'perhaps', false])
        expect(await login(ssl)).toEqual({ tls: { mode: 'disable' }, verdict: 'accepted' });
    });

    test('where plain is not let in either, the certificate is what is complained of', async () => {
      const who = { username: 'only_tls', password: 'its-password' };
      await expect(login(undefined, undefined, who)).rejects.toMatchObject({
        code: 'provider.tls',
        message: expect.stringMatching(/authority/),
      });
      expect((await login(undefined, caFile, who)).verdict).toBe('accepted');
      expect((await login(undefined, caFile, { ...who, password: 'wrong' })).verdict).toBe('refused');
    });
  },
);
