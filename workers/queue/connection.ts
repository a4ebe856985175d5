import { type BackendFactory, createPostgresBackend, type IQueueBackend } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { SecretValue } from '../../core/secret.ts';
import { readRedisUrl } from './redis-url.ts';

/** How BullMQ reaches its backend: what it takes as `connection`, the key prefix, and the factory for PostgreSQL. */
export interface QueueConnection {
  // BullMQ types the connection by its backend; here it is whichever the URL asks for.
  readonly connection: never;
  readonly prefix: string | undefined;
  readonly factory: BackendFactory<IQueueBackend, never> | undefined;
  /**
   * Waits for `ready`, for as long as the server is out of reach.
   * @throws RotorError `config.invalid` when the server was reached and trying again won't help
   */
  opened(ready: Promise<unknown>): Promise<void>;
  close(): Promise<void>;
}

const POSTGRES = /^postgres(ql)?:$/;

/**
 * Opens the backend that a URL names: `redis://`, `redis-cluster://host:port,host:port`,
 * `redis-sentinel://host:port,host:port/master-name`, all three with TLS as `rediss`, or `postgres://`.
 * @throws RotorError `config.invalid` for anything else
 */
export function connectQueue(url: SecretValue, log: Logger): QueueConnection {
  const text = url.reveal();
  const scheme = text.slice(0, text.indexOf(':') + 1);
  if (POSTGRES.test(scheme)) {
    const connection = { connectionString: text, schema: 'rotor_queue', migrate: true, max: 8 };
    const factory = createPostgresBackend as unknown as BackendFactory<IQueueBackend, never>;
    return {
      connection: connection as never,
      prefix: undefined,
      factory,
      opened: async (ready) => {
        await ready;
      },
      close: async () => undefined,
    };
  }
  const client = redisClient(text);
  let refuse: (error: RotorError) => void;
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  refused.catch(() => undefined);
  // A lost connection is retried by ioredis for ever; without a listener each try would end the process.
  client.on('error', (error) => {
    log.warn({ err: error }, 'the queue connection has a problem');
    const refusal = refusalOf(error);
    if (refusal) refuse(refusal);
  });
  return {
    connection: client as never,
    // In braces: a cluster keeps all keys of the queue on one node.
    prefix: '{rotor}',
    factory: undefined,
    opened: async (ready) => {
      ready.catch(() => undefined);
      try {
        await Promise.race([ready, refused]);
      } catch (thrown) {
        client.disconnect();
        throw thrown;
      }
    },
    close: async () => {
      client.disconnect();
    },
  };
}

function redisClient(url: string): Redis | Cluster {
  const { kind, hosts, username, password, db, tls, ...address } = readRedisUrl(url);
  const retryMs = (times: number) => Math.min(times * 100, 2_000);
  const options = {
    maxRetriesPerRequest: null,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(tls ? { tls: tls.ca ? { ca: tls.ca } : {} } : {}),
  };
  if (kind === 'cluster')
    return new Cluster([...hosts], { redisOptions: options, clusterRetryStrategy: retryMs });
  if (kind === 'single') return new Redis({ ...options, ...hosts[0], db, retryStrategy: retryMs });
  const { master, sentinelUsername, sentinelPassword } = address;
  return new Redis({
    ...options,
    db,
    retryStrategy: retryMs,
    sentinels: [...hosts],
    name: master,
    sentinelRetryStrategy: retryMs,
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
    ...(options.tls ? { sentinelTLS: options.tls, enableTLSForSentinelMode: true } : {}),
  });
}

const TLS = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_SSL|^ERR_TLS|^EPROTO/;
const LOGIN = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH)\b/;

/** The server is there, and it is not the one we may talk to: nothing that time would heal. */
function refusalOf(error: unknown): RotorError | undefined {
  const inner = (error as { lastNodeError?: unknown }).lastNodeError ?? error;
  const code = foreignCode(inner) ?? '';
  if (TLS.test(code)) {
    return new RotorError('config.invalid', {
      what: `ROTOR_QUEUE_URL: the certificate of the queue's server is not trusted (${code})`,
      hint: 'Name the file with the certificate of its authority: rediss://host:6379?caFile=/path/to/ca.pem',
    });
  }
  const [refused] = LOGIN.exec(inner instanceof Error ? inner.message : '') ?? [];
  if (refused)
    return new RotorError('config.invalid', {
      what: `ROTOR_QUEUE_URL: the queue's server refuses user or password (${refused})`,
    });
  return undefined;
}
