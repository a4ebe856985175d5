import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { vi } from 'vitest';

const run = promisify(execFile);

export interface RedisNode {
  readonly port: number;
  /** One command, on a connection of its own. */
  ask(command: string, ...args: (string | number)[]): Promise<unknown>;
  kill(): Promise<void>;
}

/** Redis servers of one suite: processes on loopback in a folder of their own, gone with `stop`. */
export interface RedisServers {
  readonly url: string;
  readonly nodes: readonly RedisNode[];
  /** The node that has the queue's keys now. */
  keeper(): Promise<RedisNode>;
  stop(): Promise<void>;
}

export interface Certificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Secured {
  readonly password: string;
  /** With TLS and nothing else on every port. */
  readonly certificates?: Certificates | undefined;
}

/** Below the ports that systems give to outgoing connections, of which a busy machine makes many. */
const [LOWEST_PORT, HIGHEST_PORT] = [12_000, 32_000];

/** Ports that were free a moment ago, all different. */
/** Handed out already: between here and its server's start a port looks free to everybody. */
const given = new Set<number>();

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (given.has(port)) continue;
    // With the port of its cluster bus.
    given.add(port).add(port + 10_000);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Waits until a command answers with `text` in it. */
async function until(look: () => Promise<unknown>, ...texts: readonly string[]): Promise<void> {
  await vi.waitFor(
    async () => {
      const answer = JSON.stringify(await look());
      const missing = texts.find((text) => !answer.includes(text));
      if (missing !== undefined) throw new Error(`no "${missing}" in ${answer}`);
    },
    { timeout: 60_000, interval: 50 },
  );
}

/** Starts processes and remembers them. */
class Nursery {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #secured: Secured;

  constructor(folder: string, secured: Secured) {
    this.#folder = folder;
    this.#secured = secured;
  }

  node(port: number, settings: readonly string[] = []): Promise<RedisNode> {
    const { password } = this.#secured;
    const own = ['--masterauth', password, '--save', '', '--appendonly', 'no'];
    return this.#start(port, ['--maxmemory-policy', 'noeviction', ...own, ...settings]);
  }

  /** Watches the master at `master` under the name `rotor`; two sentinels have to agree that it is gone. */
  async sentinel(port: number, master: number): Promise<RedisNode> {
    const file = join(this.#folder, `sentinel-${port}.conf`);
    const lines = [
      `sentinel monitor rotor 127.0.0.1 ${master} 2`,
      'sentinel down-after-milliseconds rotor 500',
      'sentinel failover-timeout rotor 3000',
      `sentinel auth-pass rotor ${this.#secured.password}`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    return this.#start(port, [file, '--sentinel']);
  }

  async #start(port: number, settings: readonly string[]): Promise<RedisNode> {
    const { password, certificates } = this.#secured;
    const folder = await mkdtemp(join(this.#folder, `${port}-`));
    const listen = certificates
      ? ['--port', '0', '--tls-port', String(port), ...tlsSettings(certificates)]
      : ['--port', String(port)];
    const own = ['--bind', '127.0.0.1', '--dir', folder, '--requirepass', password];
    const child = spawn('redis-server', [...settings, ...listen, ...own], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-2_000);
    });
    this.#children.push(child);
    const login = { password, ...(certificates ? { tls: { rejectUnauthorized: false } } : {}) };
    const node = {
      port,
      ask: (command: string, ...args: (string | number)[]) => ask(port, login, command, args),
      kill: () => ended(child),
    };
    const died = new Promise<never>((_, reject) => {
      child.once('exit', () => reject(new Error(`redis-server on port ${port} ended: ${said}`)));
    });
    await Promise.race([until(() => node.ask('PING'), 'PONG'), died]);
    // Who kills it later means to.
    died.catch(() => undefined);
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map(ended));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function ask(
  port: number,
  login: { readonly password: string; readonly tls?: { rejectUnauthorized: boolean } },
  command: string,
  args: readonly (string | number)[],
): Promise<unknown> {
  // A server that has just started, on a busy machine, may take a connection and drop it.
  for (let tries = 1; ; tries += 1) {
    const client = new Redis({
      ...login,
      port,
      host: '127.0.0.1',
      lazyConnect: true,
      retryStrategy: () => null,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call(command, ...args);
    } catch (error) {
      const dropped = error instanceof Error && error.message === 'Connection is closed.';
      if (!dropped || tries === 10) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      client.disconnect();
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

async function nursery(secured: Secured): Promise<Nursery> {
  return new Nursery(await mkdtemp(join(tmpdir(), 'rotor-redis-')), secured);
}

export async function startSingleRedis(options: Secured): Promise<RedisServers> {
  const kept = await nursery(options);
  const [port = 0] = await freePorts(1);
  const node = await kept.node(port);
  return {
    url: urlOf('', [port], options, ''),
    nodes: [node],
    keeper: async () => node,
    stop: () => kept.stop(),
  };
}

/** A master, a replica, and three sentinels that know each other; the first address of the URL is dead. */
export async function startSentinelRedis(options: Secured): Promise<RedisServers> {
  const kept = await nursery(options);
  const [nobody = 0, master = 0, replica = 0, ...watchers] = await freePorts(6);
  const first = await kept.node(master);
  const second = await kept.node(replica, ['--replicaof', `127.0.0.1 ${master}`]);
  await until(() => second.ask('INFO', 'replication'), 'master_link_status:up');
  const sentinels = await Promise.all(watchers.map((port) => kept.sentinel(port, master)));
  for (const sentinel of sentinels) {
    await until(() => sentinel.ask('SENTINEL', 'CKQUORUM', 'rotor'), 'OK 3 usable');
    await until(() => sentinel.ask('SENTINEL', 'REPLICAS', 'rotor'), String(replica));
  }
  const nodes = [first, second];
  return {
    url: urlOf('-sentinel', [nobody, ...watchers], options, '/rotor'),
    nodes,
    keeper: async () => {
      const [watcher] = sentinels as [RedisNode];
      const found = await watcher.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'rotor');
      const [, port] = found as string[];
      return nodes.find((node) => node.port === Number(port)) ?? first;
    },
    stop: () => kept.stop(),
  };
}

const SLOTS = 16_384;
const MASTERS = 3;

/** Three masters with a third of the slots each, and a replica of the one that has the queue's slot. */
export async function startClusterRedis(options: Secured): Promise<RedisServers> {
  const kept = await nursery(options);
  const ports = await freePorts((MASTERS + 1) * 2);
  const members = await Promise.all(
    Array.from({ length: MASTERS + 1 }, async (_, n) => {
      const [port = 0, bus = 0] = ports.slice(n * 2);
      const timing = ['--cluster-node-timeout', '2000', '--cluster-replica-validity-factor', '0'];
      const node = await kept.node(port, [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(bus),
        ...timing,
      ]);
      return { ...node, bus, id: String(await node.ask('CLUSTER', 'MYID')) };
    }),
  );
  const masters = members.slice(0, MASTERS);
  const [first, spare] = [members[0], members[MASTERS]];
  if (!first || !spare) throw new Error('no cluster');
  for (const { id, port, bus } of members.slice(1)) {
    // Who doesn't answer in time, on a busy machine, is forgotten: asked again until it is known.
    await until(async () => {
      const known = String(await first.ask('CLUSTER', 'NODES'));
      if (!known.includes(id)) await first.ask('CLUSTER', 'MEET', '127.0.0.1', port, bus);
      return known;
    }, id);
  }
  const from = (n: number) => Math.floor((n * SLOTS) / MASTERS);
  for (const [n, master] of masters.entries())
    await master.ask('CLUSTER', 'ADDSLOTSRANGE', from(n), from(n + 1) - 1);
  const slot = Number(await first.ask('CLUSTER', 'KEYSLOT', '{rotor}'));
  const keeper = masters.find((_, n) => slot < from(n + 1)) ?? first;
  await until(() => spare.ask('CLUSTER', 'REPLICATE', keeper.id), 'OK');
  await until(() => spare.ask('INFO', 'replication'), 'master_link_status:up');
  for (const node of members) {
    await until(() => node.ask('CLUSTER', 'INFO'), 'cluster_state:ok', `cluster_known_nodes:${MASTERS + 1}`);
    await until(() => node.ask('CLUSTER', 'NODES'), `slave ${keeper.id}`);
  }
  const startAt = masters.map(({ port }) => port);
  return {
    url: urlOf('-cluster', startAt, options, ''),
    nodes: members,
    keeper: async () => keeper,
    stop: () => kept.stop(),
  };
}

function urlOf(
  kind: string,
  ports: readonly number[],
  { password, certificates }: Secured,
  path: string,
): string {
  const query = new URLSearchParams({
    ...(certificates ? { caFile: certificates.caFile } : {}),
    ...(kind === '-sentinel' ? { sentinelPassword: password } : {}),
  });
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const scheme = certificates ? 'rediss' : 'redis';
  return `${scheme}${kind}://:${encodeURIComponent(password)}@${hosts}${path}${query.size > 0 ? `?${query}` : ''}`;
}

/** A certificate for loopback by an authority of its own. */
export async function makeCertificates(folder: string, name: string): Promise<Certificates> {
  const file = (suffix: string) => join(folder, `${name}-${suffix}`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', [
    ...['req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2'],
    ...['-subj', `/CN=${name} authority`],
  ]);
  await run('openssl', [
    ...['req', '-x509', ...key, '-keyout', file('server.key'), '-out', file('server.pem'), '-days', '2'],
    ...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-subj', `/CN=${name}`],
    ...[
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-addext',
      'basicConstraints=critical,CA:false',
    ],
  ]);
  return { caFile: file('ca.pem'), certFile: file('server.pem'), keyFile: file('server.key') };
}

function tlsSettings({ caFile, certFile, keyFile }: Certificates): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', caFile];
  return [...files, '--tls-auth-clients', 'no', '--tls-replication', 'yes', '--tls-cluster', 'yes'];
}
