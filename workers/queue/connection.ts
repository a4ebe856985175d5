import { type BackendFactory, createPostgresBackend, type IQueueBackend } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { SecretValue } from '../../core/secret.ts';
import { type RedisAddress, readRedisUrl } from './redis-url.ts';

/** How BullMQ reaches its backend: what it takes as `connection`, the key prefix, and the factory for PostgreSQL. */
export interface QueueConnection {
  // BullMQ types the connection by its backend; here it is whichever the URL asks for.
  readonly connection: never;
  readonly prefix: string | undefined;
  readonly factory: BackendFactory<IQueueBackend, never> | undefined;
  close(): Promise<void>;
}

const POSTGRES = /^postgres(ql)?:$/;
/** Where a queue in PostgreSQL lives, beside or far from the ledger. */
export const QUEUE_SCHEMA = 'rotor_queue';

export function isPostgres(url: SecretValue): boolean {
  return POSTGRES.test(schemeOf(url.reveal()));
}

function schemeOf(url: string): string {
  return url.slice(0, url.indexOf(':') + 1);
}

/**
 * Opens the backend that a URL names: `redis://`, `redis-cluster://host:port,host:port`,
 * `redis-sentinel://host:port,host:port/master-name`, all three with TLS as `rediss`, or `postgres://`.
 * A server of Redis that is out of reach is waited for, since BullMQ's own connections would be.
 * @param migrate whether a queue in PostgreSQL is given its tables; otherwise they must be there
 * @throws RotorError `config.invalid` for anything else, and when the server was reached but trying again won't help
 */
export async function connectQueue(url: SecretValue, log: Logger, migrate = true): Promise<QueueConnection> {
  const text = url.reveal();
  if (isPostgres(url)) {
    const connection = { connectionString: text, schema: QUEUE_SCHEMA, migrate, max: 8 };
    const factory = createPostgresBackend as unknown as BackendFactory<IQueueBackend, never>;
    return { connection: connection as never, prefix: undefined, factory, close: async () => undefined };
  }
  const address = readRedisUrl(text);
  const client = redisClient(address);
  // A lost connection is retried by ioredis for ever; without a listener each try would end the process.
  client.on('error', (error) => log.warn({ err: error }, 'the queue connection has a problem'));
  const close = async () => {
    client.disconnect();
  };
  try {
    await ready(client, address);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  // In braces: a cluster keeps all keys of the queue on one node.
  return { connection: client as never, prefix: '{rotor}', factory: undefined, close };
}

/** Waits until the client can be used, for as long as its servers are out of reach. */
function ready(client: Redis | Cluster, address: RedisAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    let asking = false;
    const look = async (error: unknown) => {
      if (asking) return;
      asking = true;
      try {
        // With Sentinel and Cluster ioredis says no more than that it got nowhere: the servers themselves know why.
        const refusal = refusalOf(error) ?? (await firstRefusal(address));
        if (refusal) reject(refusal);
      } finally {
        asking = false;
      }
    };
    client.on('error', look);
    client.once('ready', () => {
      client.off('error', look);
      resolve();
    });
  });
}

/** Asks the named servers in turn. @returns why the first that can be reached won't have us, if it won't */
async function firstRefusal(address: RedisAddress): Promise<RotorError | undefined> {
  const { kind, username, password, sentinelUsername, sentinelPassword } = address;
  const bySentinel = kind === 'sentinel';
  const login = bySentinel ? loginOf(sentinelUsername, sentinelPassword) : loginOf(username, password);
  for (const host of address.hosts) {
    const client = new Redis({
      ...host,
      ...login,
      ...tlsOf(address),
      lazyConnect: true,
      connectTimeout: 2_000,
      retryStrategy: () => null,
    });
    let problem: unknown;
    client.on('error', (error) => {
      problem ??= error;
    });
    try {
      await client.connect();
      const master = bySentinel && (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', address.master));
      if (master === null)
        return new RotorError('config.invalid', {
          what: 'ROTOR_QUEUE_URL: a sentinel knows no master of the name that is given after the hosts',
        });
      return undefined;
    } catch (thrown) {
      const refusal = refusalOf(problem) ?? refusalOf(thrown);
      if (refusal) return refusal;
    } finally {
      client.disconnect();
    }
  }
  return undefined;
}

const loginOf = (username: string | undefined, password: string | undefined) => ({
  ...(username ? { username } : {}),
  ...(password ? { password } : {}),
});

const tlsOf = ({ tls }: RedisAddress) => (tls ? { tls: tls.ca ? { ca: tls.ca } : {} } : {});

function redisClient(address: RedisAddress): Redis | Cluster {
  const { kind, hosts, username, password, db, master, sentinelUsername, sentinelPassword } = address;
  const retryMs = (times: number) => Math.min(times * 100, 2_000);
  const secure = tlsOf(address);
  const options = { maxRetriesPerRequest: null, ...loginOf(username, password), ...secure };
  if (kind === 'cluster') {
    // Without the refresh, a client that lost its masters but not a replica keeps asking that one, which never writes.
    const reconnecting = { clusterRetryStrategy: retryMs, slotsRefreshInterval: 1_000 };
    return new Cluster([...hosts], { redisOptions: options, ...reconnecting });
  }
  if (kind === 'single') return new Redis({ ...options, ...hosts[0], db, retryStrategy: retryMs });
  return new Redis({
    ...options,
    db,
    retryStrategy: retryMs,
    sentinels: [...hosts],
    name: master,
    sentinelRetryStrategy: retryMs,
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
    ...(secure.tls ? { sentinelTLS: secure.tls, enableTLSForSentinelMode: true } : {}),
  });
}

const TLS = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_SSL|^ERR_TLS|^EPROTO/;
const LOGIN = /\b(WRONGPASS|NOAUTH|NOPERM|ERR AUTH)\b/;

/** The server is there, and it is not the one that we look for or may talk to: nothing that time would heal. */
function refusalOf(error: unknown): RotorError | undefined {
  const code = foreignCode(error) ?? '';
  if (TLS.test(code)) {
    return new RotorError('config.invalid', {
      what: `ROTOR_QUEUE_URL: the certificate of the queue's server is not trusted (${code})`,
      hint: 'Name the file with the certificate of its authority: rediss://host:6379?caFile=/path/to/ca.pem',
    });
  }
  const [refused] = LOGIN.exec(error instanceof Error ? error.message : '') ?? [];
  if (!refused) return undefined;
  return new RotorError('config.invalid', {
    what: `ROTOR_QUEUE_URL: the queue's server refuses user or password (${refused})`,
  });
}
