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
  /** A server that follows this one asynchronously. */
  standby(): Promise<TestServer>;
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf instead of those of initdb. */
  readonly hba?: readonly string[];
  /** Lines that are added to postgresql.conf. Unlike `settings` they may be overruled later by ALTER SYSTEM. */
  readonly conf?: readonly string[];
}

export const SUPERUSER = { user: 'postgres', password: 'superuser-password' } as const;

/** A fresh server of its own. Logins are by SCRAM; replication is trusted. */
export async function startPostgres(found: string, options: ServerOptions = {}): Promise<TestServer> {
  const folder = await serverFolder();
  const identity = await unprivileged();
  const bin = await reachable(found, folder, identity);
  const data = join(folder, 'data');
  const shell = (script: string) => exec('sh', ['-c', `umask 077; ${script}`], { ...identity, cwd: folder });
  await shell(`echo ${SUPERUSER.password} > password`);
  const auth = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${folder}/password`];
  const flags = [`--pgdata=${data}`, '--no-sync', '--encoding=UTF8', '--locale=C', ...auth];
  await exec(join(bin, 'initdb'), flags, { ...identity, cwd: folder });
  const replication = 'host replication all 127.0.0.1/32 trust';
  const others = options.hba?.join('\n') ?? (await readFile(join(data, 'pg_hba.conf'), 'utf8'));
  // Written in place: the files stay those of the user that runs the server.
  await writeFile(join(data, 'pg_hba.conf'), `${replication}\n${others}\n`);
  await appendFile(join(data, 'postgresql.conf'), `${(options.conf ?? []).join('\n')}\n`);
  // Not yet started, so it is a whole backup: a standby begins with it, and streams what came since.
  await shell('cp -R data pristine');
  return launch({ bin, folder, identity, settings: options.settings ?? {} });
}

interface Launch {
  readonly bin: string;
  readonly folder: string;
  readonly identity: Identity | undefined;
  readonly settings: Readonly<Record<string, string>>;
}

async function launch(cluster: Launch): Promise<TestServer> {
  const { bin, folder, identity } = cluster;
  const port = await freePort();
  const settings = {
    fsync: 'off',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    // The default only from 14 on.
    password_encryption: 'scram-sha-256',
    // Checkpoints would recycle what a standby that begins later has yet to read.
    checkpoint_timeout: '1h',
    ...cluster.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(join(bin, 'postgres'), ['-D', join(folder, 'data'), '-p', String(port), ...flags], {
    ...identity,
    cwd: folder,
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const client = await connected({ port, database: 'postgres', ...SUPERUSER });
  return {
    port,
    sql: async (text) => (await client.query(text)).rows,
    standby: () => startStandby(cluster, port),
    stop: async () => {
      await client.end();
      child.kill('SIGQUIT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startStandby(primary: Launch, port: number): Promise<TestServer> {
  const folder = await serverFolder();
  const script = `umask 077; cp -R ${primary.folder}/pristine data; touch data/standby.signal`;
  await exec('sh', ['-c', script], { ...primary.identity, cwd: folder });
  const settings = { ...primary.settings, primary_conninfo: `host=127.0.0.1 port=${port} user=postgres` };
  return launch({ ...primary, folder, settings });
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
