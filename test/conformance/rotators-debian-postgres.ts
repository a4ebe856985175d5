import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const exec = promisify(execFile);
const ROOT = '/usr/lib/postgresql';

/** Binaries of an installed PostgreSQL older than 16, whose rules for CREATEROLE differ; or why there are none. */
export const olderPostgres: { readonly bin: string } | { readonly skipped: string } = (() => {
  const versions = existsSync(ROOT)
    ? readdirSync(ROOT)
        .map(Number)
        .filter((version) => version < 16)
    : [];
  const newest = Math.max(...versions, 0);
  if (newest > 0 && existsSync(`${ROOT}/${newest}/bin/postgres`)) return { bin: `${ROOT}/${newest}/bin` };
  return {
    skipped: 'no PostgreSQL older than 16 on this machine (Debian 12: apt-get install postgresql-15)',
  };
})();

/** PostgreSQL and PgBouncer refuse to run as root; root runs them as `postgres`. Undefined for everybody else. */
export async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => exec('id', [flag, 'postgres'])));
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
}

/** A folder that servers without rights may use. */
export async function serverFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-server-'));
  const identity = await unprivileged();
  if (identity) await chown(folder, identity.uid, identity.gid);
  return folder;
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

export interface TestServer {
  readonly port: number;
  sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  stop(): Promise<void>;
}

export const SUPERUSER = { user: 'postgres', password: 'superuser-password' } as const;

/** A server of its own: a fresh one, or a standby of `follow`. Logins are by SCRAM; replication is trusted. */
export async function startDebianPostgres(bin: string, follow?: number): Promise<TestServer> {
  const folder = await serverFolder();
  const data = join(folder, 'data');
  const identity = (await unprivileged()) ?? {};
  const run = (program: string, ...flags: string[]) =>
    exec(join(bin, program), flags, { ...identity, cwd: folder });
  if (follow === undefined) {
    await exec('sh', ['-c', `umask 077; echo ${SUPERUSER.password} > ${folder}/password`], identity);
    const auth = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${folder}/password`];
    await run('initdb', `--pgdata=${data}`, '--no-sync', ...auth);
    await exec(
      'sh',
      [
        '-c',
        `echo 'host replication all 127.0.0.1/32 trust' >> ${data}/pg_hba.conf.new; cat ${data}/pg_hba.conf >> ${data}/pg_hba.conf.new; mv ${data}/pg_hba.conf.new ${data}/pg_hba.conf`,
      ],
      identity,
    );
  } else {
    await run(
      'pg_basebackup',
      '-D',
      data,
      '-h',
      '127.0.0.1',
      '-p',
      String(follow),
      '-U',
      'postgres',
      '-R',
      '--no-sync',
      '-c',
      'fast',
    );
  }
  const port = await freePort();
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`];
  const child = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-p', String(port), ...settings.flatMap((each) => ['-c', each])],
    { ...identity, cwd: folder, stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const client = await connected({ port, database: 'postgres', ...SUPERUSER });
  return {
    port,
    sql: async (text) => (await client.query(text)).rows,
    stop: async () => {
      await client.end();
      child.kill('SIGQUIT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Connects to a server on this machine that may still be starting. */
export async function connected(config: pg.ClientConfig): Promise<pg.Client> {
  for (let attempt = 1; ; attempt += 1) {
    const client = new pg.Client({ host: '127.0.0.1', ...config });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
