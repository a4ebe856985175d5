import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chown, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { BUILDS, fetchedBin, INSTALL_COMMAND, PACKAGE } from '../../scripts/postgres-servers.ts';

const exec = promisify(execFile);

export interface Found {
  readonly version: number;
  /** Folder of `postgres` and `initdb`. */
  readonly bin: string;
  /** Why there are none, ready to be put behind the name of a suite. */
  readonly skipped: string;
}

/** The programs of a PostgreSQL: Debian's, else the build from npm (18 is a dependency; the others are fetched). */
export function findPostgres(version: number): Found {
  const build = BUILDS[version];
  const places = [`/usr/lib/postgresql/${version}/bin`, build ? fetchedBin(build) : embeddedBin()];
  const bin = places.find((each) => existsSync(join(each, 'postgres')));
  if (bin) return { version, bin, skipped: '' };
  return { version, bin: '', skipped: ` (no PostgreSQL ${version} on this machine: ${INSTALL_COMMAND})` };
}

function embeddedBin(): string {
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(PACKAGE))), '..', 'native', 'bin');
  } catch {
    return '';
  }
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL and PgBouncer refuse to run as root; root runs them as `postgres`. Undefined for everybody else. */
export async function unprivileged(): Promise<Identity | undefined> {
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
  /** A server that follows this one asynchronously, until its `primary_conninfo` is emptied. */
  standby(): Promise<TestServer>;
  /** At once, as if it crashed; nothing of it is left. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Lines of pg_hba.conf instead of those of initdb. */
  readonly hba?: readonly string[];
  /** Lines that are added to postgresql.conf. */
  readonly conf?: readonly string[];
}

export const SUPERUSER = { user: 'postgres', password: 'superuser-password' } as const;

/** The files of a server that was never started, of which any number can be begun. */
export interface Template {
  start(): Promise<TestServer>;
  remove(): Promise<void>;
}

interface Source {
  readonly bin: string;
  readonly folder: string;
  readonly identity: Identity | undefined;
}

/** Logins are by SCRAM; replication is trusted. */
export async function makeTemplate(found: string, options: ServerOptions = {}): Promise<Template> {
  const folder = await serverFolder();
  const identity = await unprivileged();
  const source = { bin: await reachable(found, folder, identity), folder, identity };
  const data = join(folder, 'data');
  const run = { ...identity, cwd: folder };
  await exec('sh', ['-c', `umask 077; echo ${SUPERUSER.password} > password`], run);
  const auth = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${folder}/password`];
  const flags = [`--pgdata=${data}`, '--no-sync', '--encoding=UTF8', '--locale=C', ...auth];
  await exec(join(source.bin, 'initdb'), flags, run);
  const replication = 'host replication all 127.0.0.1/32 trust';
  const others = options.hba?.join('\n') ?? (await readFile(join(data, 'pg_hba.conf'), 'utf8'));
  // Written in place: the files stay those of the user that runs the server.
  await writeFile(join(data, 'pg_hba.conf'), `${replication}\n${others}\n`);
  await appendFile(join(data, 'postgresql.conf'), `${(options.conf ?? []).join('\n')}\n`);
  return { start: () => launch(source), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A fresh server of its own. */
export async function startPostgres(found: string, options: ServerOptions = {}): Promise<TestServer> {
  const template = await makeTemplate(found, options);
  const server = await template.start();
  const stop = async () => {
    await server.stop();
    await template.remove();
  };
  return { ...server, stop };
}

/**
 * A primary, or a standby of the one at port `follows`: what was never started is a whole backup of every server that
 * was begun of it, so a standby only has to stream what came since.
 */
async function launch(source: Source, follows?: number): Promise<TestServer> {
  const { bin, identity } = source;
  const folder = await serverFolder();
  const run = { ...identity, cwd: folder };
  await exec('cp', ['-R', join(source.folder, 'data'), folder], run);
  if (follows !== undefined) {
    await exec('touch', [join(folder, 'data', 'standby.signal')], run);
    const line = `primary_conninfo = 'host=127.0.0.1 port=${follows} user=postgres'\n`;
    await appendFile(join(folder, 'data', 'postgresql.conf'), line);
  }
  const port = await freePort();
  const settings = {
    fsync: 'off',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    // The default only from 14 on.
    password_encryption: 'scram-sha-256',
    // Checkpoints would recycle what a standby that begins later has yet to read.
    checkpoint_timeout: '1h',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const data = join(folder, 'data');
  const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...flags], {
    ...run,
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const client = await connected({ port, database: 'postgres', ...SUPERUSER });
  return {
    port,
    sql: async (text) => (await client.query(text)).rows,
    standby: () => launch(source, port),
    stop: async () => {
      await client.end();
      child.kill('SIGQUIT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Programs under a private home can't be run by another user: they are copied to where it can. */
async function reachable(bin: string, folder: string, identity: Identity | undefined): Promise<string> {
  const probe = exec(join(bin, 'postgres'), ['--version'], { ...identity, cwd: folder });
  const runs = await probe.then(
    () => true,
    () => false,
  );
  if (runs) return bin;
  await cp(dirname(bin), join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
  return join(folder, 'native', 'bin');
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
