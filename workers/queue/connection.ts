import { type BackendFactory, createPostgresBackend, type IQueueBackend } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { SecretValue } from '../../core/secret.ts';

/** How BullMQ reaches its backend: what it takes as `connection`, the key prefix, and the factory for PostgreSQL. */
export interface QueueConnection {
  // BullMQ types the connection by its backend; here it is whichever the URL asks for.
  readonly connection: never;
  readonly prefix: string | undefined;
  readonly factory: BackendFactory<IQueueBackend, never> | undefined;
  close(): Promise<void>;
}

const POSTGRES = /^postgres(ql)?:$/;

/**
 * Opens the backend that a URL names: `redis://`, `rediss://`, `redis-cluster://host:port,host:port`,
 * `redis-sentinel://host:port,host:port/master-name`, or `postgres://`.
 * @param blocking a worker's own connection waits on the server and must never give up
 * @throws RotorError `config.invalid` for any other scheme
 */
export function connectQueue(url: SecretValue, log: Logger): QueueConnection {
  const text = url.reveal();
  const scheme = text.slice(0, text.indexOf(':') + 1);
  if (POSTGRES.test(scheme)) {
    const connection = { connectionString: text, schema: 'rotor_queue', migrate: true, max: 8 };
    const factory = createPostgresBackend as unknown as BackendFactory<IQueueBackend, never>;
    return { connection: connection as never, prefix: undefined, factory, close: async () => undefined };
  }
  const client = redisClient(scheme, text);
  // A lost connection is retried by ioredis for ever; without a listener each try would end the process.
  client.on('error', (error) => log.warn({ err: error }, 'the queue connection has a problem'));
  const close = async () => {
    client.disconnect();
  };
  return { connection: client as never, prefix: '{rotor}', factory: undefined, close };
}

function redisClient(scheme: string, url: string): Redis | Cluster {
  const options = {
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(times * 100, 2_000),
  };
  if (scheme === 'redis:' || scheme === 'rediss:') return new Redis(url, options);
  const parsed = /^redis-(?:cluster|sentinel):\/\/(?:([^:@/]*):([^@/]*)@)?([^/]+)(?:\/([^/?]+))?/.exec(url);
  if (parsed) {
    const [, username, password, hosts = '', name] = parsed;
    const nodes = hosts
      .split(',')
      .map((node) => ({ host: node.split(':')[0] ?? '', port: Number(node.split(':')[1] ?? 6379) }));
    const login = {
      ...(username ? { username } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
    };
    if (scheme === 'redis-cluster:') return new Cluster(nodes, { redisOptions: { ...options, ...login } });
    return new Redis({ ...options, ...login, sentinels: nodes, name: name ?? 'mymaster' });
  }
  throw new RotorError('config.invalid', {
    what: `ROTOR_QUEUE_URL: the scheme "${scheme}" is none of redis:, rediss:, redis-cluster:, redis-sentinel:, postgres:`,
  });
}
